//! The text of a document, before it is parsed: how many tokens it has, and how deep its brackets nest.

use super::size::within;
use crate::{config::limits::Limits, error::Error};

/// How often variables may be declared or used: each that is wrong is an error of each operation.
const MAX_VARIABLES: usize = 400;
/// How deep brackets of any kind may nest, in text: the parser calls itself for each.
const MAX_NESTING: usize = 64;

/// How long a name may be, in bytes. Names that are unknown are compared with those that are known.
const MAX_NAME: usize = 200;

/// Counts the tokens of a text, as section 2.1 of the specification divides it, and how deep its brackets nest.
pub fn check_text(text: &str, limits: &Limits) -> Result<(), Error> {
    within(text.len(), limits.max_document, "bytes")?;
    let (mut tokens, mut directives, mut variables) = (0, 0, 0);
    let mut open = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            _ if bytes[at..].starts_with(BYTE_ORDER_MARK) => {
                at += BYTE_ORDER_MARK.len();
                continue;
            }
            b'#' => {
                at = end_of(bytes, at, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => {
                take_value(&mut open);
                end_of_string(bytes, at)?
            }
            b'$' => {
                variables += 1;
                at + 1
            }
            b':' | b'=' => {
                open.last_mut().into_iter().for_each(|bracket: &mut Bracket| bracket.awaits_value = true);
                at + 1
            }
            // The parser takes "000" and "1-1" for several numbers: each digit may be one.
            b'0'..=b'9' | b'-' | b'+' => {
                let end = end_of(bytes, at, is_word);
                tokens += end - at - 1;
                take_value(&mut open);
                end
            }
            b'{' | b'(' | b'[' => {
                // What stands in braces that are a value, or in parentheses, is named; what is selected, or in a list, is not.
                let is_value = open.last().is_some_and(|bracket| bracket.has_names || bracket.is_list);
                let names = byte == b'(' || byte == b'{' && is_value;
                take_value(&mut open);
                open.push(Bracket { has_names: names, is_list: byte == b'[', awaits_value: false });
                at + 1
            }
            b'}' | b')' | b']' => {
                open.pop();
                at + 1
            }
            b'@' => {
                directives += 1;
                // The directive's name names no value.
                open.last_mut().into_iter().for_each(|bracket| bracket.awaits_value = true);
                at + 1
            }
            _ if is_word(byte) => {
                let end = end_of(bytes, at, is_word);
                let end = text.get(at..end).and_then(|word| word.find('\u{feff}')).map_or(end, |length| at + length);
                within(end - at, MAX_NAME, "bytes in a name")?;
                if !take_value(&mut open) && open.last().is_some_and(|bracket| bracket.has_names) {
                    check_named(text, at, end)?;
                }
                end
            }
            _ => at + 1,
        };
        tokens += 1;
        within(tokens, limits.max_tokens, "tokens")?;
        within(open.len(), MAX_NESTING, "brackets within each other")?;
        within(directives, limits.max_directives, "directives")?;
        within(variables, MAX_VARIABLES, "variables, declared or used")?;
    }
    Ok(())
}

/// The UTF-8 of a byte-order mark, which counts as blank (GraphQL specification, section 2.1.7).
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A bracket that is open.
struct Bracket {
    /// Whether what stands in it are values with names: arguments, variables, fields of an input object.
    has_names: bool,
    is_list: bool,
    /// Whether a name has been read, and its value has not.
    awaits_value: bool,
}

/// Takes what comes next for the value that the innermost bracket waits for; `false` where it waits for none.
fn take_value(open: &mut [Bracket]) -> bool {
    open.last_mut().is_some_and(|bracket| std::mem::take(&mut bracket.awaits_value))
}

/// A name is followed by its value. (The parser passes over one that is not, and the argument would be lost.)
fn check_named(text: &str, from: usize, to: usize) -> Result<(), Error> {
    let mut rest = &text.as_bytes()[to..];
    loop {
        match rest {
            [b' ' | b'\t' | b'\r' | b'\n' | b',', after @ ..] | [0xEF, 0xBB, 0xBF, after @ ..] => rest = after,
            [b'#', ..] => rest = &rest[end_of(rest, 0, |byte| byte != b'\n' && byte != b'\r')..],
            [b':', ..] => return Ok(()),
            _ => {
                let name = text.get(from..to).unwrap_or_default();
                return Err(Error::BadUserInput(format!(
                    "The document does not parse: \"{name}\" has no value; it is written \"{name}: …\"."
                )));
            }
        }
    }
}

/// Names, numbers, and what is beyond ASCII: the parser takes or refuses the run at once.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+') || byte >= 0x80
}

fn end_of(bytes: &[u8], from: usize, goes_on: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|&byte| !goes_on(byte)).map_or(bytes.len(), |length| from + length)
}

/// Where the string ends that begins here (GraphQL specification, section 2.9.4).
fn end_of_string(bytes: &[u8], from: usize) -> Result<usize, Error> {
    let rest = &bytes[from..];
    let (quote, escaped): (&[u8], &[u8]) = if rest.starts_with(b"\"\"\"") { (b"\"\"\"", b"\\\"\"\"") } else { (b"\"", b"\\\"") };
    let mut at = from + quote.len();
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(quote) {
            return Ok(at + quote.len());
        }
        if quote.len() == 1 && matches!(rest.first(), Some(b'\n' | b'\r')) {
            break;
        }
        at += match rest {
            rest if rest.starts_with(escaped) => escaped.len(),
            // In a plain string a backslash may stand before another.
            [b'\\', _, ..] if quote.len() == 1 => 2,
            _ => 1,
        };
    }
    // The parser might find another way to read it, and what follows would not have been counted.
    Err(Error::BadUserInput("The document does not parse: a string does not end.".to_owned()))
}
