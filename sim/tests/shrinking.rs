//! Scenarios as a strategy of proptest.

#![cfg(feature = "proptest")]

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use rs2p_sim::{Family, Profile, Scenario};

#[test]
fn a_failing_property_shrinks_to_the_smallest_scenario() {
    let mut runner = TestRunner::deterministic();
    let scenarios = Scenario::arbitrary(Profile::default());
    let result = runner.run(&scenarios, |scenario| {
        let faults = scenario.faults.iter();
        let resets = faults.filter(|fault| fault.what.family() == Family::Reset);
        prop_assert!(resets.count() < 2 || scenario.nodes < 4);
        Ok(())
    });
    let Err(TestError::Fail(_, smallest)) = result else {
        panic!("it has to fail: {result:?}");
    };
    assert_eq!((smallest.seed, smallest.nodes), (0, 4));
    assert_eq!((smallest.load.len(), smallest.faults.len()), (0, 2));
    assert!(
        smallest
            .faults
            .iter()
            .all(|f| f.at_ms == 0 && f.what.family() == Family::Reset)
    );
}

proptest! {
    #[test]
    fn a_strategy_keeps_to_its_profile(
        scenario in Scenario::arbitrary(Profile::mesh_only().with_families(&[Family::Split])),
    ) {
        prop_assert!(scenario.kinds.is_empty());
        prop_assert!(scenario.faults.iter().all(|f| f.what.family() == Family::Split));
    }
}
