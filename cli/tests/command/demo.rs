//! The demonstration.

use crate::process::Process;

#[test]
fn the_demonstration_shows_that_every_message_arrives_exactly_once() {
    let ended = Process::run(&["demo"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    let shown = &ended.stdout;
    assert!(!shown.contains('\x1b'), "no colours in a pipe");
    assert!(
        shown.ends_with("every message arrived everywhere, exactly once\n"),
        "{shown}"
    );
    for part in [
        "cleo  crashes",
        "dan   has lost cleo",
        "dan   is linked to bob",
        "fay   hears eve: \"welcome, says eve\"",
        "the cut heals; 12 deliveries have waited for that",
        "while cut                       20    20           0",
        "total                           72    72           0",
    ] {
        assert!(shown.contains(part), "{part:?} is missing in {shown}");
    }
}
