//! The work itself: publishing held back by what arrives, or at a fixed rate.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::machine;
use super::tally::{Tally, payload};

/// How many messages may be on their way at most, and how many bytes of them. Below 256: for want of room iroh-gossip loses
/// messages to a reader that is so many behind.
const WINDOW: u64 = 192;
const WINDOW_LEN: u64 = 1 << 20;

/// What comes before the measurement: paths are found, buffers grow.
const WARM_UP: Duration = Duration::from_millis(700);

/// Some nodes in this process; the first publishes, the others receive and tell a [`Tally`].
pub trait Network: Sync {
    /// Publishes a message at the first node, once the system takes it.
    ///
    /// # Errors
    ///
    /// The system will not take it at all.
    fn publish(&self, message: Bytes) -> impl Future<Output = Result<(), String>> + Send;

    /// Waits until then.
    fn sleep_until(&self, moment: Instant) -> impl Future<Output = ()> + Send;

    /// Returns the bytes that the nodes have written so far, and in how many writes and reads, if that is counted.
    fn traffic(&self) -> Option<[u64; 3]> {
        None
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers handle all of them")]
pub enum Task {
    /// As many messages as arrive everywhere: at most 192, and 1 MiB of them, are on their way.
    Throughput,
    /// So many messages a second: how long they take.
    Latency(u32),
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by those who measure")]
pub struct Work {
    /// The nodes, with the one that publishes.
    pub nodes: usize,
    /// The length of a message in bytes.
    pub len: usize,
    /// What is measured.
    pub task: Task,
    /// For how long messages are published.
    pub lasts: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by those who measure")]
pub struct Outcome {
    /// Messages published.
    pub published: u64,
    /// Deliveries, over all receivers.
    pub delivered: u64,
    /// Deliveries of what was there already.
    pub again: u64,
    /// Deliveries of a message after a later one.
    pub out_of_order: u64,
    /// From the first publication to the last delivery.
    pub seconds: f64,
    /// The processor time of all nodes in that time.
    pub cpu_seconds: f64,
    /// The share of the deliveries due that took place.
    pub share: f64,
    /// The median of the latency in milliseconds; zero if it is not measured.
    pub p50_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The most memory that all nodes had, in bytes.
    pub memory: u64,
    /// The bytes that all nodes wrote, with those of handshakes and the like; zero if they are not counted.
    pub wire: u64,
    /// In how many writes, and how many reads there were.
    pub writes: u64,
    /// See `writes`.
    pub reads: u64,
}

impl Outcome {
    /// Returns the deliveries per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        ratio(self.delivered, self.seconds)
    }

    /// Returns the deliveries per second of processor time.
    #[must_use]
    pub fn cpu_rate(&self) -> f64 {
        ratio(self.delivered, self.cpu_seconds)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn ratio(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

impl Work {
    fn window(&self) -> u64 {
        let len = u64::try_from(self.len).unwrap_or(u64::MAX);
        (WINDOW_LEN / len.max(1)).clamp(2, WINDOW)
    }
}

/// As text: `NODES,BYTES,TASK,SECONDS`, where the task is `max` or a rate.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},", self.nodes, self.len)?;
        match self.task {
            Task::Throughput => f.write_str("max")?,
            Task::Latency(rate) => write!(f, "{rate}")?,
        }
        write!(f, ",{}", self.lasts.as_secs_f64())
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not NODES,BYTES,TASK,SECONDS");
        let parts: Vec<&str> = text.split(',').collect();
        let [nodes, len, task, lasts] = parts[..] else {
            return Err(wrong());
        };
        let task = match task {
            "max" => Task::Throughput,
            rate => Task::Latency(
                rate.parse()
                    .ok()
                    .filter(|rate| *rate > 0)
                    .ok_or_else(wrong)?,
            ),
        };
        let lasts: f64 = lasts.parse().map_err(|_error| wrong())?;
        let nodes = nodes.parse().ok().filter(|nodes| *nodes >= 2);
        Ok(Self {
            nodes: nodes.ok_or_else(wrong)?,
            len: len.parse().map_err(|_error| wrong())?,
            task,
            lasts: Duration::try_from_secs_f64(lasts).map_err(|_error| wrong())?,
        })
    }
}

/// Does the work on a network that is made for it, and is connected.
///
/// # Errors
///
/// The system does not take a message, or nothing arrives at all.
pub async fn run<N: Network>(network: &N, tally: &Tally, work: &Work) -> Result<Outcome, String> {
    let mut publisher = Publisher {
        network,
        tally,
        work,
        published: 0,
    };
    publisher.publish_for(WARM_UP).await?;
    if tally.total() == 0 {
        return Err("nothing arrives".to_owned());
    }
    // What was lost in the warm-up must not hold back what follows.
    tally.forgive(publisher.published);
    tally.keep_latencies();
    let before = Reading::take(network, tally);
    let published = publisher.published;
    publisher.publish_for(work.lasts).await?;
    let after = Reading::take(network, tally);
    let latencies = match work.task {
        Task::Throughput => Vec::new(),
        Task::Latency(_) => tally.latencies(),
    };
    let published = publisher.published - published;
    let delivered = after.delivered - before.delivered;
    let due = published * tally.receivers() as u64;
    let (again, out_of_order) = tally.irregular();
    let traffic = |part: usize| after.traffic[part] - before.traffic[part];
    Ok(Outcome {
        published,
        delivered,
        again,
        out_of_order,
        seconds: (after.time - before.time).as_secs_f64(),
        cpu_seconds: (after.cpu - before.cpu).as_secs_f64(),
        share: ratio(delivered, ratio(due, 1.0)),
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        memory: machine::peak_memory(None),
        wire: traffic(0),
        writes: traffic(1),
        reads: traffic(2),
    })
}

/// What the meters show at a moment.
struct Reading {
    time: Instant,
    cpu: Duration,
    delivered: u64,
    traffic: [u64; 3],
}

impl Reading {
    fn take<N: Network>(network: &N, tally: &Tally) -> Self {
        Self {
            time: tally.quiet_since().unwrap_or_else(Instant::now),
            cpu: machine::cpu_time(),
            delivered: tally.total(),
            traffic: network.traffic().unwrap_or_default(),
        }
    }
}

struct Publisher<'a, N> {
    network: &'a N,
    tally: &'a Tally,
    work: &'a Work,
    published: u64,
}

impl<N: Network> Publisher<'_, N> {
    /// Publishes for so long, and waits until all has arrived.
    async fn publish_for(&mut self, lasts: Duration) -> Result<(), String> {
        let began = Instant::now();
        match self.work.task {
            Task::Throughput => self.publish_held_back(began + lasts).await?,
            Task::Latency(rate) => {
                let interval = Duration::from_secs(1) / rate;
                let mut due = began;
                while due < began + lasts {
                    self.network.sleep_until(due).await;
                    self.publish().await?;
                    due += interval;
                }
            }
        }
        self.tally.have(self.published).await;
        Ok(())
    }

    async fn publish_held_back(&mut self, ends: Instant) -> Result<(), String> {
        let window = self.work.window();
        while Instant::now() < ends {
            if self.published - self.tally.least() >= window {
                // In halves, so that the waking of the publisher is not what is measured.
                if !self.tally.have(self.published - window / 2).await {
                    return Ok(());
                }
            }
            self.publish().await?;
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), String> {
        let message = payload(self.published, self.tally.micros(), self.work.len);
        self.network.publish(message.into()).await?;
        self.published += 1;
        Ok(())
    }
}

/// Returns what so many of 100 numbers stay below, of microseconds that are sorted, in milliseconds.
#[must_use]
pub fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(at)
        .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

/// Returns the median of some numbers; zero if there are none.
#[must_use]
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => 0.0,
        len if len % 2 == 1 => numbers[len / 2],
        len => f64::midpoint(numbers[len / 2 - 1], numbers[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_read_as_it_is_written() {
        for text in ["2,64,max,2", "10,1024,200,0.5"] {
            let work: Work = text.parse().expect(text);
            assert_eq!(work.to_string(), text);
        }
        for text in [
            "",
            "1,64,max,2",
            "2,64,0,2",
            "2,64,max",
            "2,64,max,-1",
            "a,64,max,2",
        ] {
            assert!(text.parse::<Work>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_middle_is_the_median() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert_eq!(percentile(&[1000, 2000, 3000], 50).to_string(), "2");
        assert_eq!(percentile(&[], 99).to_string(), "0");
    }
}
