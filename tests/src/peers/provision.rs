//! Installs the published packages, once per target directory.
//!
//! They go to `interop/py2p-<hash>` and `interop/js2p-<hash>` in Cargo's target directory, where
//! the hash covers what was asked for, so that changed pins give another folder. Test processes
//! and threads that start together wait for the one that installs. Takes some 20 s the first
//! time, and the network; afterwards only the look at the interpreter's version.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::value::hex;

/// The file that says a folder is whole. It is written last.
const MARKER: &str = "complete";
/// How many lines of a failed command are shown.
const SHOWN_LINES: usize = 60;

/// Something that needs a program this machine may not have.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "tests match on both")]
pub enum Availability<T> {
    /// It is here.
    Ready(T),
    /// It cannot be had; the text says what is missing.
    Missing(String),
}

impl<T> Availability<T> {
    /// Returns the thing, or `None` after saying on stderr what is missing: the test shall return.
    ///
    /// # Panics
    ///
    /// If it is missing and the variable `CI` is `true`: there a skipped test is a hole.
    #[track_caller]
    pub fn or_skip(self) -> Option<T> {
        match self {
            Self::Ready(thing) => Some(thing),
            Self::Missing(what) if env::var_os("CI").is_some_and(|ci| ci == "true") => {
                panic!("interop tests must not be skipped in CI: {what}")
            }
            Self::Missing(what) => {
                say(&format!("SKIPPED interop: {what}"));
                None
            }
        }
    }
}

/// A Python that has py2p.
#[derive(Debug, Clone)]
pub struct Py2p {
    /// The interpreter of the virtual environment.
    pub python: PathBuf,
    /// Major and minor version of CPython. py2p's SSL mode needs one below (3, 12).
    pub version: (u32, u32),
}

/// A folder of node modules that has js2p.
#[derive(Debug, Clone)]
pub struct Js2p {
    /// What `NODE_PATH` has to be.
    pub node_path: PathBuf,
}

/// Returns a Python with py2p, installed first if need be.
///
/// # Panics
///
/// If the installation fails, with the command and the end of what it said.
#[track_caller]
pub fn py2p() -> Availability<Py2p> {
    static RESULT: OnceLock<Result<Py2p, Failure>> = OnceLock::new();
    availability(RESULT.get_or_init(install_py2p))
}

/// Returns a folder with js2p, installed first if need be.
///
/// # Panics
///
/// If the installation fails, with the command and the end of what it said.
#[track_caller]
pub fn js2p() -> Availability<Js2p> {
    static RESULT: OnceLock<Result<Js2p, Failure>> = OnceLock::new();
    availability(RESULT.get_or_init(install_js2p))
}

/// Returns the folder with the drivers and the lists of what they need.
pub(super) fn drivers() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
}

#[derive(Debug, Clone)]
enum Failure {
    /// A program is not on this machine.
    Missing(String),
    /// Something that should work did not.
    Failed(String),
}

impl Failure {
    fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {doing} {}: {error}", path.display()))
    }
}

#[track_caller]
fn availability<T: Clone>(result: &Result<T, Failure>) -> Availability<T> {
    match result {
        Ok(thing) => Availability::Ready(thing.clone()),
        Err(Failure::Missing(what)) => Availability::Missing(what.clone()),
        Err(Failure::Failed(why)) => panic!("interop packages cannot be installed: {why}"),
    }
}

fn install_py2p() -> Result<Py2p, Failure> {
    let version = stdout_of(Command::new("python3").arg("--version"))?;
    let requirements = drivers().join("requirements.txt");
    // An environment belongs to the interpreter that made it, so that is hashed as well.
    let pins = [version.clone().into_bytes(), read(&requirements)?];

    let folder = provision(&interop_dir().join(folder_name("py2p", &pins)), |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--disable-pip-version-check", "-r"])
            .arg(&requirements))
    })?;
    Ok(Py2p {
        python: folder.join("bin/python"),
        version: python_version(&version)
            .ok_or_else(|| Failure::Failed(format!("python3 --version says {version:?}")))?,
    })
}

fn install_js2p() -> Result<Js2p, Failure> {
    stdout_of(Command::new("node").arg("--version"))?;
    let lists = ["package.json", "package-lock.json"].map(|name| drivers().join(name));
    let pins = [read(&lists[0])?, read(&lists[1])?];

    let folder = provision(&interop_dir().join(folder_name("js2p", &pins)), |folder| {
        fs::create_dir(folder).map_err(|error| Failure::io("make", folder, &error))?;
        for list in &lists {
            let copy = folder.join(list.file_name().unwrap_or_default());
            fs::copy(list, &copy).map_err(|error| Failure::io("write", &copy, &error))?;
        }
        // Without the optional ones: js2p lists a native module that no longer builds.
        run(Command::new("npm").current_dir(folder).args([
            "ci",
            "--omit=optional",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]))
    })?;
    Ok(Js2p {
        node_path: folder.join("node_modules"),
    })
}

/// Returns `folder`, filled by `fill` unless an earlier call, here or in another process, did.
///
/// `fill` makes the folder itself. One that was left half made is removed first.
fn provision(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    let marker = folder.join(MARKER);
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(|error| Failure::io("make", parent, &error))?;
    }

    // Beside the folder, since the folder may have to go. The system drops the lock with the
    // file, also where the process is killed.
    let lock = folder.with_extension("lock");
    let file = File::create(&lock).map_err(|error| Failure::io("open", &lock, &error))?;
    file.lock()
        .map_err(|error| Failure::io("lock", &lock, &error))?;

    if !marker.exists() {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|error| Failure::io("remove", folder, &error))?;
        }
        say(&format!("interop: installing into {}", folder.display()));
        fill(folder)?;
        fs::write(&marker, "").map_err(|error| Failure::io("write", &marker, &error))?;
    }
    Ok(folder.to_owned())
}

/// Returns the folder for all installations, in Cargo's target directory.
fn interop_dir() -> PathBuf {
    // Cargo marks its target directory with this file. The test's own path shows it however it
    // was chosen: by variable, by configuration or by default.
    let marked = |dir: &&Path| dir.join("CACHEDIR.TAG").is_file();
    let exe = env::current_exe().unwrap_or_default();
    let target = exe
        .ancestors()
        .find(marked)
        .map(Path::to_owned)
        .or_else(|| env::var_os("CARGO_TARGET_DIR").map(PathBuf::from))
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("interop")
}

fn folder_name(package: &str, pins: &[Vec<u8>]) -> String {
    let mut hash = Sha256::new();
    for pin in pins {
        hash.update(Sha256::digest(pin));
    }
    format!("{package}-{}", hex(&hash.finalize()[..6]))
}

/// Reads the numbers from `Python 3.11.7`.
fn python_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("Python ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::io("read", path, &error))
}

fn run(command: &mut Command) -> Result<(), Failure> {
    stdout_of(command).map(|_| ())
}

fn stdout_of(command: &mut Command) -> Result<String, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(Failure::Failed(describe(command, &output))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::Missing(format!("{program} is missing")))
        }
        Err(error) => Err(Failure::Failed(format!("{command:?}: {error}"))),
    }
}

fn describe(command: &Command, output: &Output) -> String {
    let mut text = format!("{command:?} ended with {}", output.status);
    for stream in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(stream);
        let lines: Vec<_> = said.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            text.push_str("\n    ");
            text.push_str(line);
        }
    }
    text
}

/// Writes a line that shows also where the test passes: the harness captures only the macros.
fn say(line: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// A folder of its own for a test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = interop_dir().join(format!("test-{}-{name}", std::process::id()));
            Self(dir)
        }

        fn folder(&self) -> PathBuf {
            self.0.join("package")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn make(folder: &Path) -> Result<(), Failure> {
        fs::create_dir(folder).map_err(|error| Failure::io("make", folder, &error))
    }

    #[test]
    fn threads_that_start_together_install_once() {
        let scratch = Scratch::new("together");
        let made = AtomicUsize::new(0);
        let install = || {
            provision(&scratch.folder(), |folder| {
                made.fetch_add(1, Ordering::Relaxed);
                make(folder)
            })
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(install)).collect();
            for thread in threads {
                assert!(thread.join().unwrap().unwrap().join(MARKER).exists());
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn a_half_made_folder_is_made_anew() {
        let scratch = Scratch::new("half");
        let half = provision(&scratch.folder(), |folder| {
            make(folder)?;
            fs::write(folder.join("debris"), "").unwrap();
            Err(Failure::Failed("no network".to_owned()))
        });
        assert!(matches!(half, Err(Failure::Failed(_))));

        let folder = provision(&scratch.folder(), make).unwrap();
        assert!(!folder.join("debris").exists());
    }

    #[test]
    fn changed_pins_give_another_folder() {
        let name = |pins: &[&str]| {
            let pins: Vec<_> = pins.iter().map(|pin| pin.as_bytes().to_vec()).collect();
            folder_name("py2p", &pins)
        };
        assert_eq!(name(&["a", "b"]), name(&["a", "b"]));
        assert_ne!(name(&["a", "b"]), name(&["a", "c"]));
        assert_ne!(name(&["a", "b"]), name(&["ab", ""]));
    }

    #[test]
    fn a_missing_program_is_told_from_one_that_fails() {
        let missing = stdout_of(&mut Command::new("rs2p-no-such-program"));
        assert!(matches!(missing, Err(Failure::Missing(what)) if what.contains("no-such-program")));

        let failing = stdout_of(Command::new("sh").args(["-c", "echo because >&2; exit 3"]));
        assert!(matches!(failing, Err(Failure::Failed(why)) if why.contains("because")));
    }

    #[test]
    fn the_version_of_python_is_read() {
        assert_eq!(python_version("Python 3.11.7\n"), Some((3, 11)));
        assert_eq!(python_version("Python 3.14.0rc1"), Some((3, 14)));
        assert_eq!(python_version("node"), None);
    }
}
