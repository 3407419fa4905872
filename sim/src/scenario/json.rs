//! A scenario as JSON, to be read and written by people and other programs.

use serde::{Deserialize, Serialize};

use super::text::FormError;
use super::{Bootstrap, Ending, Fault, Kind, Limits, Load, Net, Scenario, Timed};

/// The only schema so far.
const SCHEMA: u64 = 1;

/// The one thing that stays the same in all schemas.
#[derive(Deserialize)]
struct Head {
    schema: u64,
}

/// A scenario with the number of its schema. All but the seed and the nodes may be left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u64,
    seed: u64,
    nodes: u16,
    #[serde(default)]
    kinds: Vec<Kind>,
    #[serde(default)]
    net: Net,
    #[serde(default)]
    bootstrap: Bootstrap,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    load: Vec<Timed<Load>>,
    #[serde(default)]
    faults: Vec<Timed<Fault>>,
    #[serde(default)]
    ending: Ending,
}

impl Scenario {
    /// Returns it as JSON, with `"schema": 1` in it.
    pub fn to_json(&self) -> String {
        let scenario = self.clone();
        let document = Document {
            schema: SCHEMA,
            seed: scenario.seed,
            nodes: scenario.nodes,
            kinds: scenario.kinds,
            net: scenario.net,
            bootstrap: scenario.bootstrap,
            limits: scenario.limits,
            load: scenario.load,
            faults: scenario.faults,
            ending: scenario.ending,
        };
        serde_json::to_string_pretty(&document).expect("numbers, names and lists can be written")
    }

    /// Reads what [`to_json`](Self::to_json) wrote, or somebody by hand: of the fields only `schema`, `seed` and `nodes`
    /// have to be there.
    ///
    /// # Errors
    ///
    /// It is not JSON, or of another schema, or it has fields or values that nobody knows. The error names the line.
    pub fn from_json(text: &str) -> Result<Self, FormError> {
        let wrong = |error: serde_json::Error| FormError::Json {
            what: error.to_string(),
        };
        let Head { schema } = serde_json::from_str(text).map_err(wrong)?;
        if schema != SCHEMA {
            return Err(FormError::Version {
                found: schema.to_string(),
                known: "1",
            });
        }
        let document: Document = serde_json::from_str(text).map_err(wrong)?;
        Ok(Self {
            seed: document.seed,
            nodes: document.nodes,
            kinds: document.kinds,
            net: document.net,
            bootstrap: document.bootstrap,
            limits: document.limits,
            load: document.load,
            faults: document.faults,
            ending: document.ending,
        })
    }
}
