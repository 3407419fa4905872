//! What a process has used, and on which machine.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the processor time of this process so far, all threads, in the program and in the system.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// Returns the processor time of another process so far, in steps of 10 ms. Zero where the system does not show its
/// processes as Linux does, or if the process is gone.
#[must_use]
pub fn cpu_time_of(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The fields follow the name, which is in parentheses and may hold some itself.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// Returns the most memory that the process, or this one, has had resident at once, in bytes. Zero where it cannot be told.
#[must_use]
pub fn peak_memory(process: Option<u32>) -> u64 {
    memory(process, "VmHWM:")
}

/// Returns the memory that this process has resident, in bytes. Zero where it cannot be told.
#[must_use]
pub fn resident_memory() -> u64 {
    memory(None, "VmRSS:")
}

fn memory(process: Option<u32>, name: &str) -> u64 {
    let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
}

/// Names the machine: its cores, its processor, its system.
#[must_use]
pub fn describe() -> String {
    let cores = cores();
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| {
        let (name, model) = line.split_once(':')?;
        (name.trim() == "model name").then(|| model.trim().to_owned())
    });
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores of {model}, {} {}",
        std::env::consts::OS,
        system.trim()
    )
}

/// Returns how many cores there are for this process.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time() {
        let before = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() < before + Duration::from_millis(30) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        if cfg!(target_os = "linux") {
            assert!(cpu_time_of(std::process::id()) >= Duration::from_millis(20));
            assert!(peak_memory(None) >= resident_memory() / 2);
            assert!(resident_memory() > 100_000);
        }
    }
}
