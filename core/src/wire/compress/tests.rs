use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;

#[test]
fn numbers_are_those_of_the_protocol_and_lead_back() {
    let table = [
        (Method::Bz2, 16, "bz2"),
        (Method::Gzip, 17, "gzip"),
        (Method::Lzma, 18, "lzma"),
        (Method::Zlib, 19, "zlib"),
        (Method::Snappy, 32, "snappy"),
    ];
    for (method, number, name) in table {
        assert_eq!(method.number(), number, "{name}");
        assert_eq!(Method::from_number(u64::from(number)), Some(method));
        assert_eq!(method.to_string(), name);
    }
    for unknown in [0, 15, 20, 31, 33, 0x110, u64::MAX] {
        assert_eq!(Method::from_number(unknown), None, "{unknown}");
    }
    assert!(table.is_sorted_by_key(|(method, ..)| *method));
}

#[test]
fn built_methods_are_those_whose_feature_is_on() {
    let features = [
        (Method::Snappy, cfg!(feature = "snappy")),
        (Method::Zlib, cfg!(feature = "zlib")),
        (Method::Gzip, cfg!(feature = "gzip")),
        (Method::Bz2, cfg!(feature = "bz2")),
        (Method::Lzma, cfg!(feature = "lzma")),
    ];
    let on = features.iter().filter(|(_, on)| *on);

    assert!(Method::built().eq(on.map(|(method, _)| *method)));
    for (method, on) in features {
        assert_eq!(method.is_built(), on, "{method}");
    }
}

#[test]
fn a_method_that_is_not_built_says_so_and_touches_nothing() {
    for method in Method::BY_PREFERENCE {
        let mut out = b"kept".to_vec();
        let compressed = compress(method, &[b"alert"], &mut out);
        let decompressed = decompress(method, b"", 100);
        if method.is_built() {
            assert_eq!(compressed, Ok(()), "{method}");
            assert_eq!(decompressed, Err(DecompressFault::Corrupt), "{method}");
        } else {
            assert_eq!(compressed, Err(NotBuilt), "{method}");
            assert_eq!(out, b"kept", "{method}");
            assert_eq!(decompressed, Err(DecompressFault::NotBuilt), "{method}");
        }
    }
}

#[test]
fn what_is_compressed_comes_back() {
    for method in Method::built() {
        for len in [0, 1, 100, 64 << 10, MIB] {
            for (kind, plain) in [("text", text(len)), ("noise", noise(len))] {
                let body = compressed(method, &plain);
                let back = decompress(method, &body, len).expect("an own body");
                assert!(back == plain, "{method}, {len} bytes of {kind}");
                assert!(
                    back.capacity() <= len + 1,
                    "{method}, {len} bytes of {kind}"
                );
            }
        }
    }
}

#[test]
fn text_gets_shorter() {
    let plain = text(64 << 10);
    for method in Method::built() {
        let len = compressed(method, &plain).len();
        assert!(len < plain.len() * 2 / 3, "{method}: {len}");
    }
}

#[test]
fn parts_are_joined_and_appended_to_what_is_there() {
    let plain = text(1000);
    let (head, tail) = plain.split_at(32);
    for method in Method::built() {
        let mut out = b"length".to_vec();
        compress(method, &[head, b"", tail], &mut out).expect("a built method");

        let body = out.strip_prefix(b"length").expect("what was there");
        assert_eq!(
            decompress(method, body, 1000).as_ref(),
            Ok(&plain),
            "{method}"
        );
    }
}

#[test]
fn no_parts_are_an_empty_body() {
    for method in Method::built() {
        let mut body = Vec::new();
        compress(method, &[], &mut body).expect("a built method");
        assert_eq!(decompress(method, &body, 0), Ok(Vec::new()), "{method}");
    }
}

#[test]
fn the_limit_is_the_longest_body_that_passes() {
    for method in Method::built() {
        for len in [0, 1, 100, 5000, 64 << 10] {
            let plain = text(len);
            let body = compressed(method, &plain);
            for limit in [len, len + 1, usize::MAX] {
                let back = decompress(method, &body, limit);
                assert_eq!(back.as_ref(), Ok(&plain), "{method}, {len} of {limit}");
            }
            for limit in [0, len / 2, len.saturating_sub(1)] {
                if limit < len {
                    assert_eq!(
                        decompress(method, &body, limit),
                        Err(DecompressFault::TooLong { limit }),
                        "{method}, {len} of {limit}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_body_cut_short_anywhere_is_corrupt() {
    for method in Method::built() {
        let plain = text(200);
        let body = compressed(method, &plain);
        for len in 0..body.len() {
            // The second limit is reached before the end of the stream can be looked at.
            for limit in [1000, plain.len()] {
                assert_eq!(
                    decompress(method, &body[..len], limit),
                    Err(DecompressFault::Corrupt),
                    "{method}, {len} of {} bytes",
                    body.len()
                );
            }
        }
    }
}

#[test]
fn padding_is_ignored_where_the_method_allows_it() {
    let plain = text(200);
    for method in Method::built() {
        let mut body = compressed(method, &plain);
        for padding in 0..8 {
            let back = decompress(method, &body, plain.len());
            if method.allows_padding() || padding == 0 {
                assert_eq!(back.as_ref(), Ok(&plain), "{method} and {padding} bytes");
            } else {
                assert_eq!(
                    back,
                    Err(DecompressFault::Corrupt),
                    "{method} and {padding} bytes"
                );
            }
            body.push(PAD_BYTE);
        }
    }
}

/// The bytes of which py2p 0.7.878 (CPython 3.11.7) refused one to seven copies after a stream.
/// 66, the `B` of `BZh`, after bz2, and the others after xz.
const REFUSED_BY_PY2P: [u8; 78] = [
    0, 1, 2, 3, 4, 9, 10, 11, 12, 18, 19, 20, 27, 28, 36, 45, 46, 47, 48, 49, 54, 55, 56, 57, 63,
    64, 65, 66, 72, 73, 76, 81, 90, 91, 92, 93, 94, 99, 100, 101, 102, 108, 109, 110, 117, 118,
    126, 135, 136, 137, 138, 139, 144, 145, 146, 147, 153, 154, 155, 162, 163, 171, 180, 181, 182,
    183, 184, 189, 190, 191, 192, 198, 199, 200, 207, 208, 216, 253,
];

#[test]
fn py2p_takes_the_padding() {
    // Nothing of ours would notice another value.
    assert!(!REFUSED_BY_PY2P.contains(&PAD_BYTE));
}

#[test]
fn a_second_stream_counts_as_padding() {
    for method in Method::built().filter(|method| method.allows_padding()) {
        let first = compressed(method, b"first");
        let both = [first, compressed(method, b"second")].concat();
        assert_eq!(
            decompress(method, &both, 100),
            Ok(b"first".to_vec()),
            "{method}"
        );
    }
}

#[test]
fn the_checksum_of_the_stream_is_verified() {
    // Where the check of the plain bytes lies, counted from the end.
    let table = [
        (Method::Zlib, 1, "adler-32"),
        (Method::Gzip, 5, "crc-32"),
        (Method::Gzip, 1, "length"),
        // The bits before the last byte, which may be filling only.
        (Method::Bz2, 2, "crc-32 of the stream"),
        (Method::Lzma, 1, "magic of the footer"),
    ];
    for (method, from_end, what) in table {
        if method.is_built() {
            let mut body = compressed(method, &text(200));
            let at = body.len() - from_end;
            body[at] ^= 1;
            assert_eq!(
                decompress(method, &body, 1000),
                Err(DecompressFault::Corrupt),
                "{method}: {what}"
            );
        }
    }
}

#[test]
fn a_bomb_goes_off_at_the_limit() {
    let zeros = vec![0; MIB];
    let parts = [zeros.as_slice(); 16];
    for method in Method::built() {
        let mut bomb = Vec::new();
        compress(method, &parts, &mut bomb).expect("a built method");
        for limit in [0, 1000, MIB] {
            assert_eq!(
                decompress(method, &bomb, limit),
                Err(DecompressFault::TooLong { limit }),
                "{method}: {} bytes",
                bomb.len()
            );
        }
    }
}

#[test]
#[cfg(feature = "snappy")]
fn a_snappy_claim_is_not_believed() {
    let too_long = DecompressFault::TooLong { limit: MIB };
    let table: [(&str, &[u8], _); 7] = [
        ("4 GiB - 1", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], too_long),
        ("32 GiB", &[0xff, 0xff, 0xff, 0xff, 0x7f, 0], too_long),
        ("limit + 1", &[0x81, 0x80, 0x40, 0], too_long),
        (
            "limit, from 4 bytes",
            &[0x80, 0x80, 0x40, 0],
            DecompressFault::Corrupt,
        ),
        (
            "2 bytes, but 1 comes",
            &[2, 0, b'a'],
            DecompressFault::Corrupt,
        ),
        (
            "1 byte, but 2 come",
            &[1, 4, b'a', b'b'],
            DecompressFault::Corrupt,
        ),
        (
            "a length without end",
            &[0xff; 20],
            DecompressFault::Corrupt,
        ),
    ];
    for (why, body, fault) in table {
        assert_eq!(decompress(Method::Snappy, body, MIB), Err(fault), "{why}");
    }
}

#[test]
#[cfg(feature = "snappy")]
fn the_densest_snappy_block_is_not_taken_for_a_lie() {
    // One literal, then nothing but copies of 64 bytes from one byte back.
    let copies = 1000;
    let plain = vec![b'a'; 1 + 64 * copies];
    // 64,001 as a varint, then the literal.
    let mut body = vec![0x81, 0xf4, 0x03, 0x00, b'a'];
    body.extend([0xfe, 0x01, 0x00].repeat(copies));

    assert_eq!(decompress(Method::Snappy, &body, plain.len()), Ok(plain));
}

/// Written by `lzma.compress` of CPython 3.11 at preset 9: 32 bytes, a dictionary of 64 MiB.
#[cfg(feature = "lzma")]
const XZ_PRESET_9: &str = "\
    fd377a585a000004e6d6b446020021011c00000010cf58cce0001f000a5d00391cc245796eed45300000000021e2\
    65924e14724600012620c71636d81fb6f37d010000000004595a";

/// The same at preset 6, which is what py2p uses: 8 MiB.
#[cfg(feature = "lzma")]
const XZ_PRESET_6: &str = "\
    fd377a585a000004e6d6b4460200210116000000742fe5a3e0001f000a5d00391cc245796eed45300000000021e2\
    65924e14724600012620c71636d81fb6f37d010000000004595a";

#[test]
#[cfg(feature = "lzma")]
fn a_dictionary_far_beyond_the_limit_is_refused() {
    let plain = b"rs2p".repeat(8);
    let table = [
        ("py2p's own dictionary", XZ_PRESET_6, 32, true),
        ("py2p's own dictionary, short body", XZ_PRESET_6, 31, false),
        ("64 MiB for a small limit", XZ_PRESET_9, 32, false),
        ("64 MiB for a limit of 63", XZ_PRESET_9, 63 * MIB, false),
        ("64 MiB for a limit of 64", XZ_PRESET_9, 64 * MIB, true),
        ("64 MiB without a limit", XZ_PRESET_9, usize::MAX, true),
    ];
    for (why, body, limit, fits) in table {
        let expected = if fits {
            Ok(plain.clone())
        } else {
            Err(DecompressFault::TooLong { limit })
        };
        assert_eq!(
            decompress(Method::Lzma, &unhex(body), limit),
            expected,
            "{why}"
        );
    }
}

#[test]
fn streams_are_known_by_their_first_bytes() {
    let table: [(&str, &[u8], Option<Method>); 16] = [
        ("zlib, fastest", &[0x78, 0x01], Some(Method::Zlib)),
        ("zlib, default", &[0x78, 0x9c, 0xff], Some(Method::Zlib)),
        ("zlib, 256 byte window", &[0x08, 0x1d], Some(Method::Zlib)),
        ("zlib, check bits wrong", &[0x78, 0x9d], None),
        ("zlib, window too large", &[0x88, 0x1c], None),
        ("zlib, preset dictionary", &[0x78, 0xbb], None),
        ("not deflate", &[0x79, 0x18], None),
        ("gzip", &[0x1f, 0x8b, 8, 0], Some(Method::Gzip)),
        ("gzip, unknown method", &[0x1f, 0x8b, 7, 0], None),
        ("bzip2, smallest", b"BZh1..", Some(Method::Bz2)),
        ("bzip2, largest", b"BZh9..", Some(Method::Bz2)),
        ("bzip2, level 0", b"BZh0..", None),
        ("xz", b"\xfd7zXZ\0", Some(Method::Lzma)),
        ("xz, cut", b"\xfd7zXZ", None),
        ("one byte", &[0x78], None),
        ("empty", &[], None),
    ];
    for (why, body, method) in table {
        assert_eq!(Method::sniff(body), method, "{why}");
    }
}

#[test]
fn own_bodies_are_known_by_their_first_bytes() {
    for method in Method::built().filter(|method| *method != Method::Snappy) {
        assert_eq!(Method::sniff(&compressed(method, b"alert")), Some(method));
    }
}

#[test]
fn bodies_of_the_real_packages_are_read() {
    for (who, method, body, plain) in GOLDEN {
        let (body, plain) = (unhex(body), unhex(plain));
        let expected = if method.is_built() {
            Ok(plain.clone())
        } else {
            Err(DecompressFault::NotBuilt)
        };
        assert_eq!(
            decompress(method, &body, plain.len()),
            expected,
            "{who}, {method}"
        );
        if method != Method::Snappy {
            assert_eq!(Method::sniff(&body), Some(method), "{who}, {method}");
        }
    }
}

#[test]
fn faults_read_as_part_of_a_sentence() {
    let too_long = DecompressFault::TooLong { limit: 7 };
    assert_eq!(
        too_long.to_string(),
        "decompressed body is longer than 7 bytes"
    );
    assert_eq!(
        DecompressFault::from(NotBuilt).to_string(),
        "compression method is not built in"
    );
}

proptest! {
    #[test]
    fn any_parts_come_back(parts: Vec<Vec<u8>>) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let plain = parts.concat();
        for method in Method::built() {
            let mut body = Vec::new();
            compress(method, &parts, &mut body).expect("a built method");
            let back = decompress(method, &body, plain.len());
            prop_assert_eq!(back.as_ref(), Ok(&plain), "{}", method);
        }
    }

    #[test]
    fn garbage_is_harmless(garbage: Vec<u8>, limit in 0..10_000_usize) {
        for method in Method::BY_PREFERENCE {
            is_bounded(method, &garbage, limit)?;
        }
        Method::sniff(&garbage);
    }

    /// Garbage seldom gets past a header; this does.
    #[test]
    fn damage_is_harmless(
        plain_len in 0..3000_usize,
        damage: Vec<(prop::sample::Index, u8)>,
        limit in 0..4000_usize,
    ) {
        let plain = text(plain_len);
        for method in Method::built() {
            let mut body = compressed(method, &plain);
            for (at, byte) in &damage {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            is_bounded(method, &body, limit)?;
        }
    }
}

fn is_bounded(method: Method, body: &[u8], limit: usize) -> Result<(), TestCaseError> {
    if let Ok(plain) = decompress(method, body, limit) {
        prop_assert!(plain.len() <= limit, "{method}: {} bytes", plain.len());
        prop_assert!(
            plain.capacity() <= limit + 1,
            "{method}: {}",
            plain.capacity()
        );
    }
    Ok(())
}

fn compressed(method: Method, plain: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    compress(method, &[plain], &mut body).expect("a built method");
    body
}

/// Words in no order: compresses well, but not to nothing.
fn text(len: usize) -> Vec<u8> {
    let words = [
        "disk ",
        "node ",
        "alert ",
        "restarted ",
        "full ",
        "cpu ",
        "17 ",
        "warning\n",
    ];
    noise(len)
        .into_iter()
        .flat_map(|byte| words[usize::from(byte) % words.len()].bytes())
        .take(len)
        .collect()
}

/// Bytes that no method can compress: the high bytes of a linear congruence.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("a hex digit");
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("two digits"))
        .collect()
}

/// Writer, method, body, plain body. py2p 0.7.878 ran on CPython 3.11.7, js2p 0.7.870 on Node 20.
const GOLDEN: [(&str, Method, &str, &str); 7] = [
    ("py2p", Method::Zlib, PY2P_ZLIB, PY2P_PLAIN),
    ("py2p", Method::Gzip, PY2P_GZIP, PY2P_PLAIN),
    ("py2p", Method::Bz2, PY2P_BZ2, PY2P_PLAIN),
    ("py2p", Method::Lzma, PY2P_LZMA, PY2P_PLAIN),
    ("js2p", Method::Zlib, JS2P_ZLIB, JS2P_PLAIN),
    ("js2p", Method::Gzip, JS2P_GZIP, JS2P_PLAIN),
    (
        "py2p with python-snappy",
        Method::Snappy,
        PY2P_SNAPPY,
        PY2P_SNAPPY_PLAIN,
    ),
];

const PY2P_PLAIN: &str = "\
    19220bcffbcbdad50d85b25e1e372fd4e04aae1d482c4ecf0d58262a051e4a709500c44238744c47314b6236566d\
    4b36685057344b547a56503578786a72636d7a41743746396857316b754147535845666e70474c4e787951784670\
    6f6e36643955545a66380100a174";

const PY2P_ZLIB: &str = "\
    789c9354e23efffbf4adabbcad9be2e4ccf5af3cf05a27eba1e3779e37424d8b55ceab602ac311278b121f7743ef\
    24b3b05c6fb38c807013ef90aab000d38a8aaca2e4dc2ac7127337cb8c70c3ec5247f7e008d7b4bc02771fbf8aca\
    c00ab782fc3cb314cbd090a8340b4686852500438b25cb";

const PY2P_GZIP: &str = "\
    1f8b08000000000000039354e23efffbf4adabbcad9be2e4ccf5af3cf05a27eba1e3779e37424d8b55ceab602ac3\
    11278b121f7743ef24b3b05c6fb38c807013ef90aab000d38a8aaca2e4dc2ac7127337cb8c70c3ec5247f7e008d7\
    b4bc02771fbf8acac00ab782fc3cb314cbd090a8340b46868525009c3b262d6a000000";

const PY2P_BZ2: &str = "\
    425a683931415926535903ccd8f1000003ffffe20a00231114a7e033dd6fd11d5bd6700200020020011000040886\
    104000000820007230013264c2609826013008608c988c871ea034c9b51e901ea68c86690f44320f24f29e9940b1\
    e5e71b5fb32a56dd28a11c25ac49bb90619e29e4a52b1614cc89630fd414af68bfc7c52ab671d1968bb07431d8d5\
    57907038fe4126a2412468532232d61a96020df0a9d603f35afddf6df5fe2ee48a70a1200799b1e2";

const PY2P_LZMA: &str = "\
    fd377a585a000004e6d6b4460200210116000000742fe5a301006919220bcffbcbdad50d85b25e1e372fd4e04aae\
    1d482c4ecf0d58262a051e4a709500c44238744c47314b6236566d4b36685057344b547a56503578786a72636d7a\
    41743746396857316b754147535845666e70474c4e7879517846706f6e36643955545a66380100a174000000baa5\
    1bae20d89c5e000182016a000000d95fd6f9b1c467fb020000000004595a";

const JS2P_PLAIN: &str = "\
    649ccc4b8c6cd2c159abcd2ef907af5af96de64d1e56491357f441a6dddd485b9500d94239327470616f5147536b\
    42676657646d4e517a4263334d37674b364a4b45395a4e4d4833316375796a3746435939663161444b63476b6d6d\
    674472664534657466430100a174";

const JS2P_ZLIB: &str = "\
    789c0500b10ec140b4261f60f70992aa686e746db5bc5c9346a2694dcdd5bb44bd103903df60b5592c16836fb0b3\
    d80cb7fa024bb7a6bcbce0b4fe3cb3fbbb57b71f794d3fd19d4f3ae97f7433265a9cad2f677dbd2d364938abb8c2\
    b4a4383972e90857c1700a01cb631139b6dc1f56eed8cb18da850f32ac8894bfc360b0d4e8b5acab6e0093052927";

const JS2P_GZIP: &str = "\
    1f8b0800064e036b00ff0500b10ec140b4261f60f70992aa686e746db5bc5c9346a2694dcdd5bb44bd103903df60\
    b5592c16836fb0b3d80cb7fa024bb7a6bcbce0b4fe3cb3fbbb57b71f794d3fd19d4f3ae97f7433265a9cad2f677d\
    bd2d364938abb8c2b4a4383972e90857c1700a01cb631139b6dc1f56eed8cb18da850f32ac8894bfc360b0d4e8b5\
    acab6e00666c80f36a000000";

const PY2P_SNAPPY_PLAIN: &str = "\
    47ccfdd317da69418883e02613cc35c4326f776c65c063ff36dc1ba61ab8f03d9500c4424136556a425a444a5335\
    52623243544c31366f34596542737965546f41756733616d733775415531464e483437587a754444474a71474c35\
    50626858334762667874ce6553f10000da0100646464646464646464646464646464646464646464646464646464\
    64646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464\
    64646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464\
    64646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464\
    64646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464\
    646464646464646464646464646464646464646464646464646464646464646464646464646464646464646464";

const PY2P_SNAPPY: &str = "\
    ef02f07547ccfdd317da69418883e02613cc35c4326f776c65c063ff36dc1ba61ab8f03d9500c4424136556a425a\
    444a533552623243544c31366f34596542737965546f41756733616d733775415531464e483437587a754444474a\
    71474c3550626858334762667874ce6553f10000da010064646464646464fe0400fe0400fe0400e20400";
