//! The simulator's models of py2p and js2p beside the real packages: both are told the same short scripts, and what comes of
//! them has to be the same. See [`script`] for what a script is and what is compared.
//!
//! The models go first. The real nodes then take each step, and are waited for until they stand as the models stood, with a
//! limit; that they stay so is shown by what follows, and at the end by marks that everybody sends twice. Where nothing is to
//! arrive, it is such a mark that shows it: it takes the same way, and is all that comes.
//!
//! What cannot be told this way: that py2p gives up on an unfinished frame after a minute, that nothing is dialled again
//! hours later, and what happens to a message that is exactly sixty seconds old. Nor what is luck in reality: whom of many
//! others a py2p dials, and which messages of a burst it loses. There the outcome has to keep the rules that
//! [`script::Agreement`] names.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of these tests are functions, and a failure fails the test"
)]

/// Makes a test of a script for each package.
macro_rules! both {
    ($($script:ident: $py2p:ident, $js2p:ident;)+) => {
        $(
            #[test]
            fn $py2p() {
                check($script(Kind::Py2p));
            }

            #[test]
            fn $js2p() {
                check($script(Kind::Js2p));
            }
        )+
    };
}

mod mixed;
mod modelled;
mod pairs;
mod real;
mod script;
mod stranger;
mod strangers;

use real::{Cast, Spoiled};
use script::{Agreement, Name, Outcome, Script, Stand, Step};

/// How often a script is told anew because a second of the calendar turned at the wrong moment.
const TRIES: u32 = 5;

/// Tells a script to the models and to the real packages, and compares what came of it.
#[track_caller]
fn check(script: Script) {
    let script = script.marked();
    for _ in 0..TRIES {
        // Real ids are new each time, and their order may matter.
        let Some(cast) = Cast::start(&script) else {
            return;
        };
        let modelled = modelled::play(&script, &cast.ranks());
        let played: Result<Outcome, Spoiled> = cast.play(&modelled);
        if let Ok(real) = played {
            return compare(&script, &modelled, &real);
        }
    }
    panic!("a second turned at the wrong moment, {TRIES} times");
}

#[track_caller]
fn compare(script: &Script, modelled: &Outcome, real: &Outcome) {
    let ends_free = script.agreement == Agreement::UpToTheBurst;
    let is_last = |number: usize| number + 1 == script.steps.len();
    for (number, (modelled, real)) in modelled.iter().zip(real).enumerate() {
        if ends_free && is_last(number) {
            for (which, stand) in [("model", modelled), ("reality", real)] {
                let fault = burst_fault(script, stand);
                assert_eq!(fault, None, "{which}: {stand}");
                let links = links(stand);
                eprintln!("{which}: the burst left {links} entries in tables");
            }
            // Reality mostly does so, but need not.
            assert_eq!(links(modelled), 0, "the model's link breaks: {modelled}");
        } else {
            assert!(
                modelled == real,
                "step {number} of {script:#?}\n\nmodel, {modelled}\n\nreality, {real}"
            );
        }
    }
    assert_eq!(modelled.len(), real.len(), "both went to the end");
}

/// Returns what is wrong with how things stand after the burst that ends a script of two nodes.
fn burst_fault(script: &Script, stand: &Stand) -> Option<&'static str> {
    let Some(Step::Burst(by, count, _)) = script.steps.last() else {
        return Some("no burst");
    };
    let Some(Some(other)) = stand.states.get(1 - by) else {
        return Some("nobody is there");
    };
    let mut numbers = Vec::new();
    for heard in &other.heard {
        let Some(number) = heard.text.strip_prefix("burst-") else {
            continue;
        };
        if heard.from != Name::Node(*by, 1) || !heard.is_broadcast {
            return Some("not a broadcast of the sender's");
        }
        numbers.push(number.trim_end_matches('-').parse::<u32>().ok());
    }
    let is_in_order = numbers.iter().all(Option::is_some) && numbers.is_sorted_by(|a, b| a < b);
    let is_whole = numbers.len() == usize::try_from(*count).unwrap();
    match (is_in_order, is_whole, links(stand)) {
        (false, ..) => Some("something twice, out of order or not sent at all"),
        (true, true, _) | (true, false, 0) => None,
        (true, false, _) => Some("something is missing, and the link is there"),
    }
}

/// Returns how many entries there are in all routing tables.
fn links(stand: &Stand) -> usize {
    let states = stand.states.iter().flatten();
    states.map(|state| state.links.len()).sum()
}

/// Returns the places of ids in their order as numbers, the smallest first. base58 has its digits in the order of ASCII.
fn ranks(ids: &[&str]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..ids.len()).collect();
    places.sort_by_key(|place| (ids[*place].len(), ids[*place]));
    places
}

/// Returns how long the text of a burst's message is, so that its frame is `rest` bytes longer than a multiple of eight.
fn burst_len(id_len: usize, rest: usize) -> usize {
    /// A frame without compression, besides the sender's id and the text.
    const FRAME: usize = 48;
    let least = 16;
    least + (8 - (FRAME + id_len + least) % 8 + rest) % 8
}

/// Returns the text of a burst's message, as the drivers of the packages make it.
fn burst_text(number: u32, id_len: usize, rest: usize) -> String {
    let width = burst_len(id_len, rest);
    let text = format!("burst-{number}-");
    format!("{text:.<width$}")
}

/// Returns a text without what only makes it longer.
fn text(text: &str) -> String {
    text.trim_end_matches('.').to_owned()
}
