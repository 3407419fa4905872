//! Protocol ids, base58 and node ids as both packages compute them.

use sha2::{Digest, Sha256, Sha384};

use super::{Json, list, load, text};
use crate::wire::base58;
use crate::{Address, Encryption, NodeId, Protocol, ProtocolId};

fn both_packages() -> [Json; 2] {
    let identity = load("identity.json");
    ["py2p", "js2p"].map(|package| identity[package].clone())
}

#[test]
fn protocol_ids() {
    let mut leading_zeros = Vec::new();
    for package in both_packages() {
        let mut ours = 0;
        for case in list(&package["protocols"]) {
            let (subnet, encryption) = (text(&case["subnet"]), text(&case["encryption"]));
            let hash = Sha256::digest(format!("{subnet}{encryption}0.7"));
            assert_eq!(base58::integer(&hash), text(&case["id"]), "{case}");
            if hash[0] == 0 {
                leading_zeros.push((
                    subnet.to_owned(),
                    hash.iter().take_while(|b| **b == 0).count(),
                ));
            }
            let encryption = match encryption {
                "Plaintext" => Encryption::Plaintext,
                "SSL" => Encryption::Tls,
                "ws" => Encryption::WebSocket,
                // js2p has the one, which does not work; the other is a user's own word.
                "wss" | "" => continue,
                other => panic!("unheard-of encryption {other}"),
            };
            let id = Protocol::new(subnet, encryption).id();
            assert_eq!(id.as_str(), text(&case["id"]), "{case}");
            ours += 1;
        }
        assert_eq!(ours, 14);
    }
    let expected = [("zero139", 1), ("zero72595", 2)];
    let expected = expected.map(|(subnet, zeros)| (subnet.to_owned(), zeros));
    assert_eq!(leading_zeros, [expected.clone(), expected].concat());
}

/// Makes big-endian bytes of decimal digits.
fn big_endian(digits: &str) -> Vec<u8> {
    let mut bytes = vec![0_u8; 48];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10).unwrap();
        for byte in bytes.iter_mut().rev() {
            let sum = u32::from(*byte) * 10 + carry;
            *byte = sum.to_be_bytes()[3];
            carry = sum >> 8;
        }
        assert_eq!(carry, 0, "more than 384 bits");
    }
    bytes
}

#[test]
fn base58_of_integers() {
    for package in both_packages() {
        let mut integers = Vec::new();
        for case in list(&package["base58_ints"]) {
            let bytes = big_endian(text(&case["int"]));
            assert_eq!(base58::integer(&bytes), text(&case["base58"]), "{case}");
            integers.push((bytes, NodeId::new(text(&case["base58"])).unwrap()));
        }
        assert_eq!(integers.len(), 21);
        // Which of two ids is the larger decides about duplicate links, and goes by the integer.
        for (mine, id) in &integers {
            for (theirs, other) in &integers {
                assert_eq!(id.outranks(other), mine > theirs, "{id} and {other}");
            }
        }
    }
}

#[test]
fn node_ids() {
    let [py2p, js2p] = both_packages();
    for case in list(&py2p["node_ids"])
        .iter()
        .chain(list(&js2p["node_ids"]))
    {
        let hash = Sha384::digest(text(&case["hashed_text"]));
        assert_eq!(base58::integer(&hash), text(&case["id"]), "{case}");
    }
    // Ours are made by the recipe of py2p.
    for case in list(&py2p["node_ids"]) {
        let port = case["out_addr"][1].as_u64().unwrap();
        let port = u16::try_from(port).unwrap();
        let address = Address::new(text(&case["out_addr"][0]), port).unwrap();
        let protocol = ProtocolId::from_text(text(&case["protocol_id"]));
        let salt = text(&case["user_salt"]).as_bytes();
        let id = NodeId::derive(Some(&address), &protocol, salt);
        assert_eq!(id.as_str(), text(&case["id"]), "{case}");
    }
    assert_eq!(
        list(&py2p["node_ids"]).len() + list(&js2p["node_ids"]).len(),
        8
    );
}
