//! Base58 of big unsigned integers, the spelling of every id of the protocol.

/// Spells a big-endian unsigned integer in base58.
///
/// This is the integer's value and no more: leading zero bytes leave no trace (Bitcoin's base58 would keep
/// each as a `1`), and zero is `1`. Texts of equally long hashes therefore differ in length.
pub(crate) fn integer(big_endian: &[u8]) -> String {
    let first = big_endian.iter().position(|byte| *byte != 0);
    match first {
        Some(first) => bs58::encode(&big_endian[first..]).into_string(),
        None => "1".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::integer;

    // From py2p and js2p, which agree.
    #[test]
    fn integers_are_spelt_as_the_older_libraries_spell_them() {
        let wide = 1_000_000_000_000_000_000_000_000_000_000_u128;
        let table: [(&[u8], &str); 9] = [
            (&[], "1"),
            (&[0], "1"),
            (&[0, 0, 0], "1"),
            (&[1], "2"),
            (&[57], "z"),
            (&[58], "21"),
            (&[0, 0, 255], "5Q"),
            (&wide.to_be_bytes(), "23yZ3FjLH69ECn2UEj"),
            (&[255; 32], "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG"),
        ];
        for (bytes, text) in table {
            assert_eq!(integer(bytes), text, "{bytes:02x?}");
        }
    }
}
