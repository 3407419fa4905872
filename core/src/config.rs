//! Every limit and every wait, with its default and the reason for it.

use std::time::Duration;

use crate::address::Address;
use crate::error::ConfigError;
use crate::protocol::Protocol;
use crate::wire::compress::Method;

/// How a node behaves. Start from `Config::default()` and change what you need.
///
/// "Guess" in a reason means just that: a value that worked, without a measurement behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which network this node belongs to. Nodes of other networks are turned away.
    ///
    /// Default: subnet `mesh`, plaintext, as in py2p and js2p.
    pub protocol: Protocol,

    /// The address at which others can reach this node; it is told to every peer.
    ///
    /// Default: none. The node then can dial but is not dialled, and nobody dials it again after
    /// a loss.
    pub advertised: Option<Address>,

    /// Addresses that this node dials from the start, and again for as long as it lives, whenever
    /// it has fewer than [`max_dialed`](Self::max_dialed) dialled links. As long as it has no link at all, up to 16 more of them are
    /// tried together.
    ///
    /// Default: none.
    pub seeds: Vec<Address>,

    /// How many links the node dials of its own accord. [`MeshState::connect`] is not bound by
    /// it, and a lost legacy neighbour is dialled again even when it is reached.
    ///
    /// Default: 4, as in py2p and js2p.
    ///
    /// [`MeshState::connect`]: crate::MeshState::connect
    pub max_dialed: usize,

    /// How many links there may be in all, whoever dialled, with dials under way. At the limit dials fail, and whoever dials this
    /// node is heard out and turned away: it is told of up to 16 neighbours, and goes on to those.
    ///
    /// One that comes from another part of the network, or has no link yet, gets the place of a native neighbour all the same, for there
    /// may be no other: that of the one that came last of those that dialled this node, which is told of the newcomer. This
    /// happens once in two [`beacon_interval`](Self::beacon_interval)s at most, and never to the only link.
    ///
    /// Default: 128. Each costs a socket and up to [`link_queue_limit`](Self::link_queue_limit).
    pub max_links: usize,

    /// How many accepted links may be without a complete handshake at one time, beside those of
    /// [`max_links`](Self::max_links). At the limit, further ones are refused.
    ///
    /// Default: 32 (guess): enough for a network that comes back all at once, too few to starve
    /// established peers of [`max_links`](Self::max_links).
    pub max_pending: usize,

    /// How many addresses the node remembers. At the limit the one that failed longest is
    /// forgotten first; seeds and lost neighbours go last.
    ///
    /// Default: 1024, about 200 kB.
    pub max_addresses: usize,

    /// How long an address is remembered of which nothing was heard: nobody named it, nobody was there. Seeds are not
    /// forgotten, and a dial that failed is no reason to forget.
    ///
    /// Default: 7 days.
    pub address_age: Duration,

    /// How many entries of a peer's list of peers are looked at; the rest is ignored.
    ///
    /// Default: 256.
    pub max_peers_entries: usize,

    /// The longest frame body taken from a peer, in bytes, as sent and as decompressed. A longer
    /// one ends the link.
    ///
    /// Default: 4 MiB. py2p cannot send one longer than about 3.9 MB on loopback, and relays
    /// must be able to carry what others may send.
    pub max_frame_len: usize,

    /// The longest message this node sends for its application, in bytes, packed. A longer one is
    /// refused by the call.
    ///
    /// Default: 1 MiB + 4 KiB: a payload of 1 MiB with its header. py2p writes a frame in one go
    /// and loses the tail of one that exceeds the free buffer space, so larger ones would be lost
    /// behind it.
    pub max_message_len: usize,

    /// The deepest nesting of arrays and maps taken from a peer. A deeper one ends the link.
    ///
    /// Default: 512; py2p itself fails at about 330 and 490. At most 512.
    pub max_depth: usize,

    /// How many bytes may wait to be sent on one link; the last frame may exceed it. Frames longer than a quarter of it that
    /// came while the link was below half of it do not count for those behind them: so there may be half as much again, and a
    /// frame. Broadcasts beyond it wait in the log until the link has drained to half of it. A link at which more than that of
    /// other messages would wait is closed with [`CloseReason::Overflow`] and dialled again.
    ///
    /// Whispers and messages to one node are accepted only while the link is below half of it
    /// ([`SendError::Full`]).
    ///
    /// Default: 192 KiB: enough to fill a fast link between two wake-ups, and little enough for a hundred slow ones.
    ///
    /// [`CloseReason::Overflow`]: crate::CloseReason::Overflow
    /// [`SendError::Full`]: crate::SendError::Full
    pub link_queue_limit: usize,

    /// How many bytes of recent broadcasts are kept for those who lack them, each with 480 bytes for its place in the log.
    ///
    /// An origin that is over a quarter of it displaces its own messages first. This node's own may take half of it
    /// before they are in the log of a neighbour; then [`SendError::Full`] is the answer to a further one.
    ///
    /// Default: 64 MiB. What is dropped because of this limit, and by all who had it, is a gap for those
    /// that it did not reach.
    ///
    /// [`SendError::Full`]: crate::SendError::Full
    pub log_len: usize,

    /// How many recent broadcasts are kept; shared as [`log_len`](Self::log_len).
    ///
    /// Default: 131,072.
    pub log_count: usize,

    /// How old a broadcast may become in the log. The longest partition that heals without a gap is
    /// shorter than this.
    ///
    /// Default: 70 minutes: one hour, and what healing takes. Ids of messages without a name are remembered 5 minutes
    /// longer.
    pub log_age: Duration,

    /// How old a broadcast may be, when this node is made, that its application is to get all the same.
    ///
    /// Default: none. What was sent before this node was there is kept for others, and not delivered.
    pub catch_up: Duration,

    /// Of how many streams (the broadcasts of one life of a node) it is remembered what came. At the limit the one that was
    /// silent longest is forgotten, and an event says so.
    ///
    /// Default: 16,384, about 8 MB.
    pub max_streams: usize,

    /// How long it may take until neighbours are told what came.
    ///
    /// Default: 1 s. Under load they are told after every 512 messages.
    pub have_interval: Duration,

    /// After how many broadcasts within a second that a native neighbour repeats, or after 4 KiB for each of so many, one of their
    /// streams is looked at: if another neighbour brings it earlier, this one is asked to tell of its messages, and not to send
    /// them. What it tells of and does not come within a quarter of a second is fetched, and for a while all send the stream again.
    ///
    /// Default: 16. With 0 all neighbours send all messages: as many copies of each as there are links, and not even that quarter
    /// of a second when a neighbour falls silent.
    pub prune_after: u32,

    /// How long a neighbour may send nothing of what it was asked for before another is asked.
    ///
    /// Default: 10 s (guess): a slow link has taken a long message by then.
    pub pull_timeout: Duration,

    /// How long the application waits for a broadcast after those neighbours that had it have said that they dropped
    /// it, before [`Event::Gap`] is told and what follows is delivered.
    ///
    /// Default: 10 s: about the time in which another neighbour may be found that still has it.
    ///
    /// [`Event::Gap`]: crate::Event::Gap
    pub gap_grace: Duration,

    /// How often the node saves what its next life needs, at least so long apart: [`Output::Persist`] is for the driver to store.
    /// While a save is large it happens less often, so that it is not more than 256 KiB per second over the time.
    ///
    /// Default: none, and a node that ends is gone.
    ///
    /// [`Output::Persist`]: crate::Output::Persist
    pub save_interval: Option<Duration>,

    /// How many message ids are remembered to recognise duplicates. At the limit the oldest are
    /// forgotten early, and an event says so.
    ///
    /// Default: 1,048,576, about 70 MB when full.
    pub max_seen: usize,

    /// How long a message id is remembered, so that a copy that arrives later is dropped.
    ///
    /// Default: 75 s. Legacy nodes relay for 60 s by the sender's clock, and one whose age is
    /// exactly 60 s goes round until that second has ended; the rest is for slow paths. Must be
    /// more than 61 s.
    pub seen_ttl: Duration,

    /// How many messages may wait for a search for their receiver, a distant node. At the limit a further one
    /// is refused.
    ///
    /// Default: 256.
    pub max_searches: usize,

    /// How many bytes of messages to single nodes may be on their way, until it is known what became of them. A further one is
    /// refused with [`SendError::Full`]; one that is alone may be longer. At most 4,096 messages in any case.
    ///
    /// Default: 4 MiB.
    ///
    /// [`SendError::Full`]: crate::SendError::Full
    pub max_posts_len: usize,

    /// How long a message to one node may take until it is acknowledged. It is sent again meanwhile, by another way if one is
    /// lost; after that the outcome is [`SendOutcome::Unacknowledged`].
    ///
    /// Default: 30 s.
    ///
    /// [`SendOutcome::Unacknowledged`]: crate::SendOutcome::Unacknowledged
    pub send_timeout: Duration,

    /// How long a distant node is searched for before the outcome is a failure.
    ///
    /// Default: 10 s (guess): several dials of py2p, each of which may block it for 1 s.
    pub search_timeout: Duration,

    /// How many control messages (handshakes again, peers, requests, renegotiations, pings, unknown
    /// whispers; but not those by which native nodes make their logs alike) of one link are looked at in one second. More are ignored, and an event says so
    /// once.
    ///
    /// Default: 200. A py2p with a dead table entry sends 2,000 to 4,000 requests a second.
    pub max_control_rate: u32,

    /// The shortest time between two answers to requests for peers on one link.
    ///
    /// Default: 1 s.
    pub peers_interval: Duration,

    /// How long a dial may take before it has failed.
    ///
    /// Default: 10 s.
    pub dial_timeout: Duration,

    /// How long the dialling side waits for the first frame of the other side before it sends its
    /// handshake unasked, in the one form that suits every kind of peer.
    ///
    /// Only a js2p WebSocket listener is silent for so long. Default: 500 ms.
    pub silence_timeout: Duration,

    /// How long a link may be without a complete handshake before it is closed.
    ///
    /// Default: 10 s.
    pub handshake_timeout: Duration,

    /// How long an unfinished frame may stay unfinished. A frame is given one more second for each
    /// 4 KiB of it that have arrived, so that large ones get through slow links and a byte now and
    /// then does not hold a link for ever.
    ///
    /// Default: 60 s, as in py2p.
    pub half_frame_timeout: Duration,

    /// How long a link may take no bytes while some wait for it, before it is closed.
    ///
    /// Default: 30 s (guess): longer than py2p's blocking dials.
    pub stall_timeout: Duration,

    /// How long a native link may be silent before the peer is asked for a sign of life. After twice
    /// as long without one the link is closed. Legacy peers are asked for their peers, after twice that time.
    ///
    /// Default: 30 s: about 5 bytes per second on an idle link.
    pub ping_interval: Duration,

    /// How long a link that is being closed may take to send what waits for it.
    ///
    /// Default: 5 s.
    pub linger_timeout: Duration,

    /// The wait before the first attempt to dial a lost neighbour or a failed address again. It
    /// doubles with each failure, up to [`redial_max`](Self::redial_max), and is spread by chance
    /// over half to one and a half of itself.
    ///
    /// Default: 1 s: by then a py2p that broke its own link has come to rest.
    pub redial_min: Duration,

    /// The longest wait between two attempts to dial an address. Default: 60 s.
    pub redial_max: Duration,

    /// How long the node waits, spread by chance over three quarters to one and a half of itself, before it dials an address that
    /// it is not linked to, whatever the number of links and of failures before. A link that leads to nodes it is
    /// linked with anyhow is dropped at once; so parts of a network that do not know of each other become one.
    ///
    /// Default: 20 s: a partition that heals is noticed within half a minute by each node, and by one of many at once.
    pub probe_interval: Duration,

    /// How often one node of the network says to all others that it is there; see [`probe_interval`](Self::probe_interval).
    /// All nodes of a network should have the same.
    ///
    /// It takes two of these until it can be told that a network fell apart: so long after the beginning of a cut that heals
    /// earlier, its parts may take each other for one, and stay apart.
    ///
    /// Default: 5 s: about 45 bytes per second on each link. With 30 s, what was said during a cut of 10 s took 50 s to cross.
    pub beacon_interval: Duration,

    /// The compression methods to use, the preferred first. Those whose feature is off are
    /// ignored. Towards py2p the methods that can be padded come first whatever the order.
    ///
    /// Default: snappy, zlib, gzip, bz2, lzma.
    pub compression: Vec<Method>,

    /// Messages shorter than this are sent as they are to native peers.
    ///
    /// Default: 256 bytes: below, the headers of most methods eat the gain.
    pub min_compress_len: usize,

    /// A bug to plant in this node. For tests of tests only.
    ///
    /// Default: none.
    #[cfg(feature = "sabotage")]
    pub sabotage: Option<crate::Sabotage>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            advertised: None,
            seeds: Vec::new(),
            max_dialed: 4,
            max_links: 128,
            max_pending: 32,
            max_addresses: 1024,
            address_age: Duration::from_secs(7 * 24 * 3600),
            max_peers_entries: 256,
            max_frame_len: 4 << 20,
            max_message_len: (1 << 20) + (4 << 10),
            max_depth: 512,
            link_queue_limit: 192 << 10,
            log_len: 64 << 20,
            log_count: 1 << 17,
            log_age: Duration::from_secs(70 * 60),
            catch_up: Duration::ZERO,
            max_streams: 1 << 14,
            have_interval: Duration::from_secs(1),
            prune_after: 16,
            pull_timeout: Duration::from_secs(10),
            gap_grace: Duration::from_secs(10),
            save_interval: None,
            max_seen: 1 << 20,
            seen_ttl: Duration::from_secs(75),
            max_searches: 256,
            max_posts_len: 4 << 20,
            send_timeout: Duration::from_secs(30),
            search_timeout: Duration::from_secs(10),
            max_control_rate: 200,
            peers_interval: Duration::from_secs(1),
            dial_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_millis(500),
            handshake_timeout: Duration::from_secs(10),
            half_frame_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(5),
            redial_min: Duration::from_secs(1),
            redial_max: Duration::from_secs(60),
            probe_interval: Duration::from_secs(20),
            beacon_interval: Duration::from_secs(5),
            compression: Method::built().collect(),
            min_compress_len: 256,
            #[cfg(all(feature = "sabotage", not(test)))]
            sabotage: None,
            #[cfg(all(feature = "sabotage", test))]
            sabotage: crate::tests::planted::planted(),
        }
    }
}

impl Config {
    /// Checks that the limits fit together.
    ///
    /// # Errors
    ///
    /// Names the first limit that cannot work, and why. [`MeshState::new`](crate::MeshState::new)
    /// calls this.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (self.max_links > 0, "max_links", "must not be zero"),
            (self.max_pending > 0, "max_pending", "must not be zero"),
            (
                self.max_dialed <= self.max_links,
                "max_dialed",
                "must not exceed max_links",
            ),
            (
                self.seeds.len() <= self.max_addresses,
                "max_addresses",
                "must have room for the seeds",
            ),
            (
                (1024..=1 << 30).contains(&self.max_frame_len),
                "max_frame_len",
                "must be between 1 KiB and 1 GiB",
            ),
            (
                self.max_message_len >= 512,
                "max_message_len",
                "must be at least 512 bytes",
            ),
            (
                self.max_message_len + 32 <= self.max_frame_len,
                "max_message_len",
                "must leave 32 bytes below max_frame_len for the checksum",
            ),
            (
                (8..=512).contains(&self.max_depth),
                "max_depth",
                "must be between 8 and 512",
            ),
            (
                self.link_queue_limit >= 4096,
                "link_queue_limit",
                "must be at least 4 KiB",
            ),
            (
                self.log_len >= 1 << 16 && self.log_count >= 64,
                "log_len and log_count",
                "must be at least 64 KiB and 64 messages",
            ),
            (
                self.log_age >= Duration::from_secs(75),
                "log_age",
                "must be at least 75 s",
            ),
            (self.max_streams >= 64, "max_streams", "must be at least 64"),
            (
                !self.have_interval.is_zero() && !self.pull_timeout.is_zero(),
                "have_interval and pull_timeout",
                "must not be zero",
            ),
            (self.max_seen >= 1024, "max_seen", "must be at least 1024"),
            (
                self.seen_ttl > Duration::from_secs(61),
                "seen_ttl",
                "must be more than 61 s, the time for which legacy nodes relay",
            ),
            (
                self.search_timeout <= self.send_timeout,
                "search_timeout",
                "must not be above send_timeout",
            ),
            (
                self.max_control_rate > 0,
                "max_control_rate",
                "must not be zero",
            ),
            (!self.redial_min.is_zero(), "redial_min", "must not be zero"),
            (
                self.redial_min <= self.redial_max,
                "redial_max",
                "must not be below redial_min",
            ),
            (
                self.silence_timeout < self.handshake_timeout,
                "silence_timeout",
                "must be below handshake_timeout",
            ),
            (
                !self.dial_timeout.is_zero() && !self.half_frame_timeout.is_zero(),
                "dial_timeout and half_frame_timeout",
                "must not be zero",
            ),
            (
                !self.stall_timeout.is_zero() && !self.ping_interval.is_zero(),
                "stall_timeout and ping_interval",
                "must not be zero",
            ),
            (
                !self.probe_interval.is_zero() && !self.beacon_interval.is_zero(),
                "probe_interval and beacon_interval",
                "must not be zero",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, field, rule)) => Err(ConfigError { field, rule }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_consistent() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_broken_limit_is_named() {
        type Change = fn(&mut Config);
        let broken: [(&str, Change); 5] = [
            ("max_links", |c| c.max_links = 0),
            ("max_dialed", |c| c.max_dialed = c.max_links + 1),
            ("seen_ttl", |c| c.seen_ttl = Duration::from_secs(61)),
            ("max_depth", |c| c.max_depth = 513),
            ("max_message_len", |c| c.max_message_len = c.max_frame_len),
        ];
        for (field, change) in broken {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.check().map_err(|error| error.field), Err(field));
        }
    }
}
