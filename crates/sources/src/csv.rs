//! CSV with a header: comma, double quotes, any line end (RFC 4180).
//!
//! The usual readers hand out an empty field and a quoted empty field alike; here the first is null and the second
//! the empty text.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};

use crate::{
    SourceError,
    documents::BATCH_ROWS,
    instant::{self, Moment},
    number,
};

/// Rows of a file as text columns, with the line on which each row starts.
pub(crate) struct CsvFile {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) lines: Vec<u64>,
}

/// Reads a whole file as text.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<CsvFile, SourceError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = Reader { file, bytes, at: 0, line: 1 };
    let mut record = Record::default();
    if reader.next(&mut record)?.is_none() {
        let schema = Arc::new(Schema::empty());
        return Ok(CsvFile { schema, batches: Vec::new(), lines: Vec::new() });
    }
    let mut names: Vec<String> = Vec::new();
    for i in 0..record.len() {
        let name = record.field(i, file, 1)?.unwrap_or_default().to_owned();
        if names.contains(&name) {
            return Err(SourceError::line(file, 1, format!("the column {name:?} occurs twice")));
        }
        names.push(name);
    }
    let fields: Vec<_> = names.iter().map(|n| Field::new(n, DataType::Utf8, true)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let mut columns: Vec<StringBuilder> = names.iter().map(|_| StringBuilder::new()).collect();
    let (mut batches, mut lines, mut rows, mut started) = (Vec::new(), Vec::new(), 0, 0);
    while let Some(line) = reader.next(&mut record)? {
        if record.is_blank() && names.len() > 1 {
            continue;
        }
        if record.len() != names.len() {
            let what = format!("{} fields where the header has {}", record.len(), names.len());
            return Err(SourceError::line(file, line, what));
        }
        for (i, column) in columns.iter_mut().enumerate() {
            column.append_option(record.field(i, file, line)?);
        }
        lines.push(line);
        rows += 1;
        // Few rows of long text end a batch too: an Arrow array of text holds at most 2 GiB.
        if rows == BATCH_ROWS || reader.at - started > 64 << 20 {
            batches.push(batch(&schema, &mut columns, rows)?);
            (rows, started) = (0, reader.at);
        }
    }
    if rows > 0 {
        batches.push(batch(&schema, &mut columns, rows)?);
    }
    Ok(CsvFile { schema, batches, lines })
}

fn batch(schema: &SchemaRef, columns: &mut [StringBuilder], rows: usize) -> Result<RecordBatch, SourceError> {
    let arrays = columns.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

/// The type that all values of a text column share.
#[derive(Debug, Clone)]
pub(crate) struct Guess {
    any: bool,
    integer: bool,
    number: bool,
    /// All numbers are finite and have at most 38 digits.
    decimal: bool,
    /// Some number has an exponent or is not finite.
    floating: bool,
    /// Every whole number is exactly a float.
    whole_exact: bool,
    /// Every number is exactly a float, or the shortest text of one.
    float_exact: bool,
    boolean: bool,
    day: bool,
    instant: bool,
    civil: bool,
    /// Some time has nanoseconds.
    nanoseconds: bool,
    width: (u32, u32),
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            any: false,
            integer: true,
            number: true,
            decimal: true,
            floating: false,
            whole_exact: true,
            float_exact: true,
            boolean: true,
            day: true,
            instant: true,
            civil: true,
            nanoseconds: false,
            width: (0, 0),
        }
    }
}

impl Guess {
    /// Takes the values of a text column in.
    pub(crate) fn column(&mut self, array: &ArrayRef) {
        array.as_string::<i32>().iter().flatten().for_each(|text| self.value(text));
    }

    fn value(&mut self, text: &str) {
        self.any = true;
        if self.number {
            self.number(text);
        }
        self.boolean = self.boolean && matches!(text.to_ascii_lowercase().as_str(), "true" | "false");
        if self.day || self.instant || self.civil {
            // Dates without hyphens are numbers here.
            let moment =
                Some(text).filter(|t| t.len() >= 10 && t.as_bytes()[4] == b'-').and_then(instant::iso);
            self.day = self.day && text.len() == 10 && matches!(moment, Some(Moment::Civil(_)));
            self.instant = self.instant && matches!(moment, Some(Moment::Instant(_)));
            self.civil = self.civil && text.len() > 10 && matches!(moment, Some(Moment::Civil(_)));
            self.nanoseconds = self.nanoseconds || instant::fraction_digits(text) > 6;
        }
    }

    /// A number with a leading zero or plus sign is an identifier, and spaces make a text.
    fn number(&mut self, text: &str) {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let bytes = digits.as_bytes();
        let padded = bytes.len() > 1 && bytes[0] == b'0' && bytes[1].is_ascii_digit();
        let bare =
            !padded && bytes.first().is_some_and(u8::is_ascii_digit) && !text.contains(char::is_whitespace);
        let plain = if bare { number::plain(text, '.') } else { None };
        let Some(plain) = plain else {
            self.integer = false;
            self.decimal = false;
            self.floating = true;
            self.number = matches!(text, "NaN" | "inf" | "-inf" | "Infinity" | "-Infinity");
            return;
        };
        self.integer = self.integer && text.parse::<i64>().is_ok();
        self.floating = self.floating || plain.contains(['e', 'E']);
        let is_whole = !plain.contains(['.', 'e', 'E']);
        let Some(decimal) = number::parse(&plain) else {
            self.decimal = false;
            self.float_exact = false;
            self.whole_exact = self.whole_exact && !is_whole;
            return;
        };
        let (whole, fraction) = decimal.width();
        self.width = (self.width.0.max(whole), self.width.1.max(fraction));
        if self.whole_exact && is_whole {
            self.whole_exact = decimal.is_exact_f64();
        }
        self.float_exact = self.float_exact
            && self.whole_exact
            && (is_whole || decimal.is_short_f64() || decimal.is_exact_f64());
    }

    /// The type. Numbers with a fraction are exact decimals where `exact` asks for it and 38 digits are enough, floats
    /// otherwise. Whole numbers become floats only where these are exact; with `exact` that holds for all numbers, and
    /// times keep their nanoseconds.
    pub(crate) fn data_type(&self, exact: bool) -> DataType {
        let unit = if exact && self.nanoseconds { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        if !self.any {
            DataType::Utf8
        } else if self.integer {
            DataType::Int64
        } else if self.number {
            self.number_type(exact)
        } else if self.boolean {
            DataType::Boolean
        } else if self.day {
            DataType::Date32
        } else if self.instant {
            DataType::Timestamp(unit, Some("UTC".into()))
        } else if self.civil {
            DataType::Timestamp(unit, None)
        } else {
            DataType::Utf8
        }
    }

    fn number_type(&self, exact: bool) -> DataType {
        let (whole, fraction) = self.width;
        let decimal = match i8::try_from(fraction) {
            Ok(scale) if self.decimal && whole.saturating_add(fraction) <= 38 => {
                Some(DataType::Decimal128(38, scale))
            }
            _ => None,
        };
        let float = if exact { self.float_exact } else { self.whole_exact };
        match decimal {
            Some(decimal) if (exact && !self.floating) || !float => decimal,
            _ if float => DataType::Float64,
            _ => DataType::Utf8,
        }
    }

    /// Whether a float would round some whole number.
    pub(crate) fn rounds(&self) -> bool {
        self.number && !self.whole_exact
    }

    /// Whether there is no value.
    pub(crate) fn is_null(&self) -> bool {
        !self.any
    }

    /// Whether some value is a local time, which a column of instants would have to guess the zone of.
    pub(crate) fn is_civil(&self) -> bool {
        self.any && self.civil
    }
}

/// One record: the text of all fields, the end of each, and whether it was quoted.
#[derive(Default)]
struct Record {
    text: Vec<u8>,
    ends: Vec<(usize, bool)>,
}

impl Record {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn is_blank(&self) -> bool {
        self.ends == [(0, false)]
    }

    /// The text of a field, none where it is empty and not quoted.
    fn field(&self, i: usize, file: &str, line: u64) -> Result<Option<&str>, SourceError> {
        let start = if i == 0 { 0 } else { self.ends[i - 1].0 };
        let (end, quoted) = self.ends[i];
        if start == end && !quoted {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.text[start..end]);
        text.map(Some).map_err(|_| SourceError::line(file, line, format!("field {} is not UTF-8", i + 1)))
    }
}

struct Reader<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Reader<'_> {
    /// Reads the next record; gives the line on which it starts.
    fn next(&mut self, record: &mut Record) -> Result<Option<u64>, SourceError> {
        record.text.clear();
        record.ends.clear();
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.line;
        loop {
            let quoted = self.bytes.get(self.at) == Some(&b'"');
            if quoted {
                self.quoted(record, start)?;
            } else {
                let rest = &self.bytes[self.at..];
                let length =
                    rest.iter().position(|b| matches!(b, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
                record.text.extend_from_slice(&rest[..length]);
                self.at += length;
            }
            record.ends.push((record.text.len(), quoted));
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'\r' | b'\n') => {
                    self.end_of_line();
                    return Ok(Some(start));
                }
                None => return Ok(Some(start)),
                Some(_) => return Err(SourceError::line(self.file, self.line, "text after a closing quote")),
            }
        }
    }

    fn end_of_line(&mut self) {
        if self.bytes[self.at..].starts_with(b"\r\n") {
            self.at += 1;
        }
        self.at += 1;
        self.line += 1;
    }

    fn quoted(&mut self, record: &mut Record, start: u64) -> Result<(), SourceError> {
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(length) = rest.iter().position(|b| *b == b'"') else {
                return Err(SourceError::line(self.file, start, "a quote is not closed"));
            };
            record.text.extend_from_slice(&rest[..length]);
            self.line += rest[..length].iter().filter(|b| **b == b'\n').count() as u64;
            self.at += length + 1;
            if self.bytes.get(self.at) != Some(&b'"') {
                return Ok(());
            }
            record.text.push(b'"');
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    fn cells(text: &str) -> Vec<Vec<Option<String>>> {
        let file = parse("x.csv", text.as_bytes()).unwrap();
        let mut rows = Vec::new();
        for batch in &file.batches {
            for row in 0..batch.num_rows() {
                let cell = |c: &ArrayRef| c.is_valid(row).then(|| c.as_string::<i32>().value(row).to_owned());
                rows.push(batch.columns().iter().map(cell).collect());
            }
        }
        rows
    }

    fn guess(values: &[&str], exact: bool) -> DataType {
        let mut guess = Guess::default();
        values.iter().for_each(|v| guess.value(v));
        guess.data_type(exact)
    }

    #[test]
    fn an_empty_field_is_null_and_a_quoted_one_is_text() {
        let some = |t: &str| Some(t.to_owned());
        assert_eq!(
            cells("\u{FEFF}a,b\r\n,\"\"\r\n\"x, \"\"y\"\"\nz\",NULL\r\n\r\n1,"),
            [vec![None, some("")], vec![some("x, \"y\"\nz"), some("NULL")], vec![some("1"), None]]
        );
        assert!(cells("a,b\n").is_empty() && cells("").is_empty());
        assert_eq!(cells("a\n\n1\n"), [[None], [some("1")]]);
    }

    #[test]
    fn lines_count_line_ends_in_quotes() {
        assert_eq!(parse("x", b"a\n\"1\n2\"\n3\n").unwrap().lines, [2, 4]);
        let told = |bytes: &[u8]| parse("x.csv", bytes).err().unwrap().to_string();
        assert_eq!(told(b"a,b\n1,2\n3\n"), "x.csv: line 3: 1 fields where the header has 2");
        assert_eq!(told(b"a\n\"1\n2"), "x.csv: line 2: a quote is not closed");
        assert_eq!(told(b"a\n\"1\"2"), "x.csv: line 2: text after a closing quote");
        assert_eq!(told(b"a,a\n"), "x.csv: line 1: the column \"a\" occurs twice");
        assert_eq!(told(b"a\n\xFF\n"), "x.csv: line 2: field 1 is not UTF-8");
    }

    #[test]
    fn a_column_has_the_type_of_all_its_values() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let local = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(guess(&["1", "-20"], true), DataType::Int64);
        assert_eq!(guess(&["007"], true), DataType::Utf8);
        assert_eq!(guess(&["0", "0.5"], true), DataType::Decimal128(38, 1));
        assert_eq!(guess(&["0", "0.5"], false), DataType::Float64);
        assert_eq!(guess(&["1.5", "2e-9"], true), DataType::Float64);
        assert_eq!(guess(&["true", "FALSE"], true), DataType::Boolean);
        assert_eq!(guess(&["2025-03-01"], true), DataType::Date32);
        assert_eq!(guess(&["2025-03-01T00:00:00Z"], true), utc);
        assert_eq!(guess(&["2025-03-01 00:00:00"], true), local);
        for text in
            [["1", "x"], ["NULL", "1"], ["1 000", "1"], ["2025-03-01", "2025-03-01T00:00:00Z"], ["", "1"]]
        {
            assert_eq!(guess(&text, true), DataType::Utf8, "{text:?}");
        }
        assert_eq!(guess(&[], true), DataType::Utf8);
        assert_eq!(guess(&["2025-03-01T00:00:00.123456789Z"], false), utc);
    }

    #[test]
    fn no_number_is_rounded_to_a_float() {
        let decimal = |scale| DataType::Decimal128(38, scale);
        assert_eq!(guess(&["9007199254740993", "1e2"], true), decimal(0));
        assert_eq!(guess(&["9007199254740993", "0.5"], false), decimal(1));
        assert_eq!(guess(&["18446744073709551615"], false), decimal(0));
        assert_eq!(guess(&["9007199254740992", "0.1", "1e2"], true), DataType::Float64);
        assert_eq!(guess(&["0.10000000000000001", "1e2"], true), decimal(17));
        assert_eq!(guess(&["0.10000000000000001", "1e2"], false), DataType::Float64);
        assert_eq!(guess(&["9007199254740993", "NaN"], true), DataType::Utf8);
        assert_eq!(guess(&["9007199254740993", "1e-30"], true), DataType::Utf8);
        assert_eq!(guess(&["1e400", "1"], true), DataType::Utf8);
    }
}
