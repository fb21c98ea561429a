//! Cursors in the order of changes, and positions in the write-ahead log, as clients store them.
//!
//! Each is `version (1 byte) ‖ ciphertext ‖ tag (16)` in base64url. The plaintext of a cursor is the event's sequence number, big-endian, and its mark (16 bytes); that of
//! a position its bytes, big-endian (8). It is encrypted with AES-256-GCM-SIV (RFC 8452), whose nonce may be the same for all of them: equal cursors are then equal texts.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    db::wal::WalPosition,
    error::{Error, Result},
    models::event::{Mark, Position},
};

/// The first byte of a cursor.
const CURSOR: u8 = 1;
/// The first byte of a position in the write-ahead log.
const WAL_POSITION: u8 = 2;
const TAG_LENGTH: usize = 16;
const PLAIN_CURSOR: usize = size_of::<i64>() + size_of::<Mark>();
/// How much of a text that is no cursor is repeated.
const MAX_SHOWN: usize = 90;

/// Makes cursors of positions, and positions of cursors.
#[derive(Clone)]
pub struct Cursors(Arc<LessSafeKey>);

impl Cursors {
    /// With this key of 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self> {
        let key =
            UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| Error::internal("the key of cursors is not 32 bytes long"))?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// The cursor of a position.
    pub fn encode(&self, position: Position) -> Result<String> {
        self.seal(CURSOR, [&position.sequence.to_be_bytes()[..], &position.mark].concat())
    }

    fn seal(&self, version: u8, mut body: Vec<u8>) -> Result<String> {
        let sealed = self.0.seal_in_place_append_tag(nonce(), Aad::from([version]), &mut body);
        sealed.map_err(|_| Error::internal("a cursor could not be encrypted"))?;
        body.insert(0, version);
        Ok(URL_SAFE_NO_PAD.encode(body))
    }

    /// What was sealed; `None` where it was with another key. An error where the text is nothing that was sealed.
    fn open<const N: usize>(&self, version: u8, text: &str) -> Result<Option<[u8; N]>, NotSealed> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotSealed)?;
        let (first, body) = bytes.split_first().ok_or(NotSealed)?;
        let mut body: Vec<u8> = body.to_vec();
        if *first != version || body.len() != N + TAG_LENGTH {
            return Err(NotSealed);
        }
        let opened = self.0.open_in_place(nonce(), Aad::from([version]), &mut body);
        Ok(opened.ok().and_then(|plain| (&*plain).try_into().ok()))
    }

    /// The text of a position in the write-ahead log.
    pub fn encode_wal(&self, position: WalPosition) -> Result<String> {
        self.seal(WAL_POSITION, position.0.to_be_bytes().to_vec())
    }

    /// The position of such a text; [`WalPosition::UNKNOWN`] for one of another database, or one that was damaged. An error names the text by `what` it is.
    pub fn decode_wal(&self, what: &str, text: &str) -> Result<WalPosition> {
        let position = self.open(WAL_POSITION, text).map_err(|NotSealed| {
            Error::BadUserInput(format!("{what}: {:?} is no position that an answer has had.", shown(text)))
        })?;
        Ok(position.map_or(WalPosition::UNKNOWN, |bytes| WalPosition(u64::from_be_bytes(bytes))))
    }

    /// The position of a cursor. One that was made with another key is of another database: `CURSOR_EXPIRED`.
    pub fn decode(&self, text: &str) -> Result<Position> {
        let plain: [u8; PLAIN_CURSOR] = self
            .open(CURSOR, text)
            .map_err(|NotSealed| Error::BadUserInput(format!("since: {:?} is no cursor of a change.", shown(text))))?
            .ok_or(Error::CursorExpired(OF_ANOTHER))?;
        let (sequence, mark) = plain.split_first_chunk().ok_or_else(|| Error::internal("a cursor is too short"))?;
        let mark = mark.try_into().map_err(|_| Error::internal("a cursor is of another length"))?;
        Ok(Position { sequence: i64::from_be_bytes(*sequence), mark })
    }
}

/// A text that was not made here.
struct NotSealed;

/// As much of a text as an error repeats.
fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// Why a cursor leads nowhere: what it stands for is not what the database knows.
pub const OF_ANOTHER: &str = "The cursor is from before the database was restored, moved or replaced.";

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: Position = Position { sequence: 17, mark: *b"12345678" };

    fn cursors(key: u8) -> Cursors {
        Cursors::new(&[key; 32]).expect("a key")
    }

    /// A cursor comes back as it went, and nothing of it can be read.
    #[test]
    fn a_cursor_comes_back() {
        let text = cursors(1).encode(POSITION).expect("a cursor");
        assert_eq!(cursors(1).decode(&text).expect("a position"), POSITION);
        let next = cursors(1).encode(Position { sequence: 18, ..POSITION }).expect("a cursor");
        let same = text.bytes().zip(next.bytes()).skip(2).filter(|(a, b)| a == b).count();
        assert!(same < 10, "{text} and {next} are alike");
    }

    /// A position comes back, one of another database is further than any, and what is neither is named. A cursor is no position.
    #[test]
    fn positions() {
        let text = cursors(1).encode_wal(WalPosition(0x16_b374_d848)).expect("a position");
        assert_eq!(cursors(1).decode_wal("portal-position", &text).expect("a position"), WalPosition(0x16_b374_d848));
        assert_eq!(cursors(2).decode_wal("portal-position", &text).expect("nothing"), WalPosition::UNKNOWN);
        for bad in ["", "16/B374D848", &cursors(1).encode(POSITION).expect("a cursor")] {
            let Err(Error::BadUserInput(message)) = cursors(1).decode_wal("portal-position", bad) else { panic!("{bad}") };
            assert!(message.starts_with("portal-position: "), "{message}");
        }
        assert!(matches!(cursors(1).decode(&text), Err(Error::BadUserInput(_))));
    }

    /// Another database's cursor, and one that was changed, has expired; what is no cursor at all is named.
    #[test]
    fn other_cursors() {
        let text = cursors(1).encode(POSITION).expect("a cursor");
        assert!(matches!(cursors(2).decode(&text), Err(Error::CursorExpired(_))));
        let changed = text.replace(&text[20..21], if &text[20..21] == "A" { "B" } else { "A" });
        assert!(matches!(cursors(1).decode(&changed), Err(Error::CursorExpired(_) | Error::BadUserInput(_))));
        for bad in ["", "17", "ZXZlbnQ6MTc", "\u{1F600}", &text[1..]] {
            assert!(matches!(cursors(1).decode(bad), Err(Error::BadUserInput(_))), "{bad}");
        }
    }
}
