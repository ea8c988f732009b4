use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn encoded(header: &Header) -> Vec<u8> {
    let mut memory = [0; Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    header.encode(&mut tx).unwrap();
    tx.written().to_vec()
}

fn parse_error(bytes: &[u8]) -> Option<PeerError> {
    Header::parse(bytes).err()
}

#[test]
fn each_length_form_starts_where_the_shorter_one_ends() {
    let forms = [(0, 2), (125, 2), (126, 4), (0xFFFF, 4), (0x1_0000, 10), (i64::MAX as u64, 10)];
    for (len, size) in forms {
        for header in [Header::text(len), Header::binary(len).masked([1, 2, 3, 4])] {
            let size = if header.mask.is_some() { size + 4 } else { size };
            let bytes = encoded(&header);
            assert_eq!((bytes.len(), header.encoded_len()), (size, size), "{len}");
            assert_eq!(Header::parse(&bytes), Ok(Parse::Done { value: header, consumed: size }));
        }
    }
}

#[test]
fn fr_004_reserved_bits_and_opcodes_are_refused_from_the_first_byte() {
    for first in 0..=0xFF_u8 {
        let expected = match first {
            _ if first & 0x70 != 0 => Some(PeerError::ReservedBits),
            _ if matches!(first & 0xF, 3..=7 | 11..=15) => Some(PeerError::ReservedOpcode),
            0x08..=0x0A => Some(PeerError::ControlFragmented),
            _ => None,
        };
        assert_eq!(parse_error(&[first]), expected, "{first:#x}");
        assert_eq!(parse_error(&[first, 0]), expected, "{first:#x}");
        assert_eq!(parse_error(&[first, 0x80, 1, 2, 3, 4]), expected, "{first:#x}");
    }
}

#[test]
fn fr_005_a_control_frame_over_125_bytes_is_refused_from_the_second_byte() {
    for opcode in [Opcode::Close, Opcode::Ping, Opcode::Pong] {
        let first = 0x80 | opcode.bits();
        assert_eq!(parse_error(&[first, 125]), None);
        for second in [126, 127, 0x80 | 126, 0x80 | 127] {
            assert_eq!(parse_error(&[first, second]), Some(PeerError::ControlTooLong));
        }
    }
}

#[test]
fn a_length_in_a_longer_form_than_it_needs_is_refused() {
    assert_eq!(parse_error(&[0x82, 126, 0, 125]), Some(PeerError::LengthNotMinimal));
    assert_eq!(parse_error(&[0x82, 126, 0, 126]), None);
    assert_eq!(
        parse_error(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        Some(PeerError::LengthNotMinimal)
    );
    assert_eq!(parse_error(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), None);
}

#[test]
fn a_64_bit_length_with_its_top_bit_set_is_refused() {
    assert_eq!(parse_error(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Some(PeerError::LengthTopBit));
    let largest = [0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    let value = Header::binary(i64::MAX as u64);
    assert_eq!(Header::parse(&largest), Ok(Parse::Done { value, consumed: 10 }));
}

#[test]
fn a_length_that_no_frame_can_have_is_not_encoded() {
    let mut memory = [0; Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    let refused = Header::binary(1 << 63).encode(&mut tx);
    assert_eq!(refused, Err(TxFull { at_least: usize::MAX }));
    assert!(tx.is_empty());
}

fn any_header() -> impl Strategy<Value = Header> {
    let len = prop_oneof![0..300_u64, 65_000..66_000_u64, 0..=i64::MAX as u64];
    (any::<bool>(), 0..6_usize, any::<Option<[u8; 4]>>(), len).prop_map(
        |(fin, opcode, mask, len)| {
            let opcode = [0, 1, 2, 8, 9, 10].map(|bits| Opcode::from_bits(bits).unwrap())[opcode];
            if opcode.is_control() {
                Header { fin: true, opcode, mask, len: len % 126 }
            } else {
                Header { fin, opcode, mask, len }
            }
        },
    )
}

proptest! {
    #[test]
    fn parsing_gives_back_what_was_encoded(header in any_header(), behind: [u8; 3]) {
        let mut bytes = encoded(&header);
        let consumed = bytes.len();
        prop_assert_eq!(consumed, header.encoded_len());
        bytes.extend(behind);
        prop_assert_eq!(Header::parse(&bytes), Ok(Parse::Done { value: header, consumed }));
    }

    #[test]
    fn a_header_that_is_cut_asks_for_no_more_than_is_missing(header in any_header()) {
        let bytes = encoded(&header);
        for cut in 0..bytes.len() {
            match Header::parse(&bytes[..cut]) {
                Ok(Parse::NeedMore { at_least }) => {
                    prop_assert!(at_least >= 1 && cut + at_least <= bytes.len());
                }
                other => prop_assert!(false, "{:?} after {} bytes", other, cut),
            }
        }
    }

    #[test]
    fn a_header_that_does_not_fit_writes_nothing(header in any_header(), room in 0..14_usize) {
        let mut memory = [0; Header::MAX_LEN];
        let mut tx = TxBuf::new(&mut memory[..room]);
        let fits = room >= header.encoded_len();
        prop_assert_eq!(header.encode(&mut tx).is_ok(), fits);
        prop_assert_eq!(tx.len(), if fits { header.encoded_len() } else { 0 });
    }

    #[test]
    fn what_parses_is_encoded_as_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        if let Ok(Parse::Done { value, consumed }) = Header::parse(&bytes) {
            prop_assert!(consumed <= bytes.len());
            prop_assert_eq!(&encoded(&value)[..], &bytes[..consumed]);
        }
    }
}

proptest! {
    #[test]
    fn the_short_way_reads_what_the_fast_one_reads(
        first: u8,
        second: u8,
        zeros in 0_usize..9,
        rest in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut bytes = [&[first, second][..], &std::vec![0; zeros], &rest].concat();
        for bits in [first, 0x81, 0x02, 0x89] {
            for form in [second, 126, 127, 254, 255] {
                (bytes[0], bytes[1]) = (bits, form);
                for cut in 0..=bytes.len() {
                    prop_assert_eq!(Header::parse_bytewise(&bytes[..cut]), Header::parse(&bytes[..cut]));
                }
            }
        }
    }
}
