//! Extended JSON, relaxed and canonical: one document after the other, or one array of documents.

use std::borrow::Cow;

use bson::{Bson, RawDocumentBuf};
use serde_json::Value;

use crate::SourceError;

/// Digits of a Decimal128 (IEEE 754-2008 §3.6).
const DECIMAL_DIGITS: usize = 34;

/// So many digits name every float (IEEE 754-2008 §5.12.2): what is written with more may be meant exactly.
const FLOAT_DIGITS: usize = 17;

/// The documents of a text with the line on which each ends. Documents usually stand one a line, but may span
/// lines.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Vec<(u64, RawDocumentBuf)>, SourceError> {
    let bytes = exact_floats(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    let mut documents = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
    let (mut line, mut counted) = (1, 0);
    while let Some(value) = stream.next() {
        let value = value.map_err(|e| SourceError::line(file, e.line() as u64, json_error(&e)))?;
        let end = stream.byte_offset();
        line += bytes[counted..end].iter().filter(|b| **b == b'\n').count() as u64;
        counted = end;
        match value {
            Value::Array(elements) => {
                for element in elements {
                    documents.push((line, document(file, line, element)?));
                }
            }
            value => documents.push((line, document(file, line, value)?)),
        }
    }
    Ok(documents)
}

fn document(file: &str, line: u64, value: Value) -> Result<RawDocumentBuf, SourceError> {
    let wrong = |what: &str| SourceError::line(file, line, what);
    match Bson::try_from(value) {
        Ok(Bson::Document(document)) => {
            RawDocumentBuf::try_from(&document).map_err(|_| wrong("a field name holds a zero byte"))
        }
        Ok(_) => Err(wrong("not a document")),
        Err(_) => Err(wrong("not Extended JSON: a field that starts with $ has a value of the wrong form")),
    }
}

/// Writes bare floats in their canonical form, `1.5` as `{"$numberDouble": "1.5"}`, so that no feature with which
/// `serde_json` is built decides over their last digit: a difference there is a difference. Whole numbers beyond 64 bits
/// and fractions of more digits than name a float become decimals, those beyond the digits of a decimal text. No line end
/// is added.
fn exact_floats(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    let (mut copied, mut at, mut in_text) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'-' | b'0'..=b'9' if !in_text => {
                let rest = &bytes[at..];
                let part = |b: &u8| !matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let number = &rest[..rest.iter().position(part).unwrap_or(rest.len())];
                if is_float(number) {
                    let (open, close) = match form(number) {
                        Form::Double => ("{\"$numberDouble\":\"", "\"}"),
                        Form::Decimal => ("{\"$numberDecimal\":\"", "\"}"),
                        Form::Text => ("\"", "\""),
                    };
                    out.extend_from_slice(&bytes[copied..at]);
                    out.extend_from_slice(open.as_bytes());
                    out.extend_from_slice(number);
                    out.extend_from_slice(close.as_bytes());
                    copied = at + number.len();
                }
                at += number.len() - 1;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(&bytes[copied..]);
    Cow::Owned(out)
}

/// What holds all digits of a number.
enum Form {
    Double,
    Decimal,
    Text,
}

/// The form of a number that is no integer of 64 bits.
fn form(number: &[u8]) -> Form {
    let mantissa = number.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or_default();
    let digits = mantissa.iter().filter(|b| b.is_ascii_digit());
    let digits = digits.skip_while(|digit| **digit == b'0').count();
    let is_whole = number.iter().all(|b| b.is_ascii_digit() || *b == b'-');
    // A Decimal128 reaches further than any exponent that a float has.
    if !is_whole && digits <= FLOAT_DIGITS {
        Form::Double
    } else if digits <= DECIMAL_DIGITS {
        Form::Decimal
    } else {
        Form::Text
    }
}

/// Whether a number of JSON is finite and no integer of 64 bits; what is no number of JSON is left for the parser to refuse.
fn is_float(number: &[u8]) -> bool {
    let digits = |b: &[u8]| b.iter().take_while(|b| b.is_ascii_digit()).count();
    let unsigned = number.strip_prefix(b"-").unwrap_or(number);
    let whole = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned[0] == b'0') {
        return false;
    }
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return false;
        }
        rest = &exponent[length..];
    }
    let text = std::str::from_utf8(number).unwrap_or_default();
    rest.is_empty() && text.parse::<i64>().is_err() && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The text of a JSON error without its place, which stands in front already.
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.find(" at line ").unwrap_or(text.len());
    format!("not JSON: {}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_with_their_lines() {
        let text = b"\xEF\xBB\xBF{\"a\": 1}\n\n{\"a\":\n 2}\r\n[{\"a\": 3}, {\"a\": 4}]\n";
        let lines: Vec<_> = parse("x", text).unwrap().iter().map(|d| d.0).collect();
        assert_eq!(lines, [1, 4, 5, 5]);
        assert!(parse("x", b"\n").unwrap().is_empty());
    }

    #[test]
    fn floats_are_exact_and_other_numbers_stay() {
        let changed = |text: &str| String::from_utf8(exact_floats(text.as_bytes()).into_owned()).unwrap();
        let wrapped = |text: &str| format!("{{\"$numberDouble\":\"{text}\"}}");
        assert_eq!(
            changed("{\"a1.5\\\"2.5\": [-1.5e-3, 7]}"),
            format!("{{\"a1.5\\\"2.5\": [{}, 7]}}", wrapped("-1.5e-3"))
        );
        assert_eq!(changed("18446744073709551616"), "{\"$numberDecimal\":\"18446744073709551616\"}");
        let long = "-12345678901234567890123456789012345";
        assert_eq!(changed(long), format!("\"{long}\""));
        assert_eq!(changed("0.10000000000000001"), wrapped("0.10000000000000001"));
        for exact in ["0.10000000000000000001", "-12345678901234567890.123", "1.00000000000000000e2"] {
            assert_eq!(changed(exact), format!("{{\"$numberDecimal\":\"{exact}\"}}"));
        }
        let long = "0.12345678901234567890123456789012345";
        assert_eq!(changed(long), format!("\"{long}\""));
        for same in ["-9223372036854775808", "01.5", "1.", ".5", "1e", "1e999", "1.5.5", "-", "\"x 1.5"] {
            assert_eq!(changed(same), same);
        }
        let exact = parse("x", b"{\"v\": 1.692126856387574e-308}").unwrap();
        assert_eq!(exact[0].1.get_f64("v").unwrap(), 1.692126856387574e-308);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let told = |text: &str| parse("x.jsonl", text.as_bytes()).unwrap_err().to_string();
        assert!(told("{\"a\": 1}\n{\"a\": }\n").starts_with("x.jsonl: line 2: not JSON: expected value"));
        assert_eq!(told("{}\n7"), "x.jsonl: line 2: not a document");
        assert!(told("{\"d\": {\"$date\": true}}").starts_with("x.jsonl: line 1: not Extended JSON"));
        assert!(told("{\"d\": {\"$oid\": \"xyz\"}}").contains("line 1"));
        assert!(told(&"[".repeat(5000)).contains("recursion"));
    }
}
