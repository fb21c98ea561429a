//! Cursors in the order of changes, as clients store them.
//!
//! A cursor is `version (1 byte) ‖ ciphertext (16) ‖ tag (16)` in base64url. The plaintext is the event's sequence number, big-endian, and its mark. It is
//! encrypted with AES-256-GCM-SIV (RFC 8452), whose nonce may be the same for all of them: equal cursors are then equal texts.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    error::{Error, Result},
    models::event::{Mark, Position},
};

const VERSION: u8 = 1;
const PLAIN_LENGTH: usize = size_of::<i64>() + size_of::<Mark>();
const LENGTH: usize = 1 + PLAIN_LENGTH + 16;
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
        let mut body = Vec::with_capacity(LENGTH);
        body.extend_from_slice(&position.sequence.to_be_bytes());
        body.extend_from_slice(&position.mark);
        let sealed = self.0.seal_in_place_append_tag(nonce(), Aad::from([VERSION]), &mut body);
        sealed.map_err(|_| Error::internal("a cursor could not be encrypted"))?;
        body.insert(0, VERSION);
        Ok(URL_SAFE_NO_PAD.encode(body))
    }

    /// The position of a cursor. One that was made with another key is of another database: `CURSOR_EXPIRED`.
    pub fn decode(&self, text: &str) -> Result<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == LENGTH && bytes[0] == VERSION);
        let Some(mut bytes) = bytes else {
            let shown: String = text.chars().take(MAX_SHOWN).collect();
            return Err(Error::BadUserInput(format!("since: {shown:?} is no cursor of a change.")));
        };
        let opened = self.0.open_in_place(nonce(), Aad::from([VERSION]), &mut bytes[1..]);
        let plain = opened.map_err(|_| Error::CursorExpired(OF_ANOTHER))?;
        let (sequence, mark) = plain.split_first_chunk().ok_or_else(|| Error::internal("a cursor is too short"))?;
        let mark = mark.try_into().map_err(|_| Error::internal("a cursor is of another length"))?;
        Ok(Position { sequence: i64::from_be_bytes(*sequence), mark })
    }
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
