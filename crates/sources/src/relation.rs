//! Relations that nobody declared: one file, or a folder of files of one format.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use object_store::ObjectMeta;

use crate::{
    Format, InputTable, Location, SourceError,
    commits::only_committed,
    csv::{CsvFile, Guess},
    detect, open_location, read,
    read::RowFile,
    rules::Declared,
    same_columns::rows_have_same_columns,
    select,
    typed::typed,
    unify,
};

/// Files that an error lists.
const LISTED: usize = 10;

/// Reads a relation: a file, a folder of files of one format, or either on S3.
///
/// CSV columns take the type that `csv_schema_hint` has for them where it holds all values without a loss; without one,
/// `text_columns` stay text and the others get the narrowest type that holds all their values, numbers with a fraction
/// an exact decimal. Documents get their types from all documents, their columns sorted by name. Parquet columns keep
/// their order; dictionaries and views become plain types. A column that is null in every row has the type
/// [`DataType::Null`], unless it has a type from the hint or from its Parquet file.
pub async fn read_relation(
    text: &str,
    base: &Path,
    options: &BTreeMap<String, String>,
    csv_schema_hint: Option<&Schema>,
    text_columns: &[String],
) -> Result<InputTable, SourceError> {
    let Located { location, files, format, evolves } = locate(text, base, options).await?;
    let loaded = read::load(&location, files).await?;
    let nothing = Declared::nothing();
    let table = match format {
        Format::BsonDump => read::bson_table(&loaded, &nothing),
        Format::JsonLines => read::json_table(&loaded, &nothing),
        Format::Parquet => read::parquet_relation(&loaded, evolves),
        Format::Csv => csv_table(&loaded, csv_schema_hint, text_columns),
    }?;
    if table.schema.fields().is_empty() && table.report.rows == 0 {
        return Err(SourceError::NoColumns { path: location.display });
    }
    Ok(table)
}

/// The format of a relation, also of a folder, without reading its rows.
pub async fn relation_format(
    text: &str,
    base: &Path,
    options: &BTreeMap<String, String>,
) -> Result<Format, SourceError> {
    Ok(locate(text, base, options).await?.format)
}

/// The files of a relation, without those beside them.
pub(crate) struct Located {
    pub(crate) location: Location,
    pub(crate) files: Vec<ObjectMeta>,
    /// The format of all of them.
    pub(crate) format: Format,
    /// They are of a table of dualrun's own, whose older files lack the columns that came later.
    pub(crate) evolves: bool,
}

/// Finds the files of a relation.
pub(crate) async fn locate(
    text: &str,
    base: &Path,
    options: &BTreeMap<String, String>,
) -> Result<Located, SourceError> {
    let location = open_location(text, base, options)?;
    if !location.prefix.as_ref().is_empty()
        && let Some(file) = location.head(&location.prefix).await?
    {
        return Ok(Located { location, files: vec![file], format: detect(text)?, evolves: false });
    }
    let mut files = location.list(&location.prefix).await?;
    select::refuse_tables(&location, &files)?;
    files.retain(|file| !select::is_aside(&location.relative(&file.location)));
    let evolves = only_committed(&location, std::slice::from_ref(&location.prefix), &mut files).await?;
    if files.is_empty() {
        let path = location.display;
        let folder = !path.contains("://") && Path::new(&path).is_dir();
        return Err(if folder { SourceError::EmptyFolder { path } } else { SourceError::NotFound { path } });
    }
    let format = only_format(&location, &files)?;
    Ok(Located { location, files, format, evolves })
}

/// The format of a folder; an error that lists what does not belong to the format of most files.
fn only_format(location: &Location, files: &[ObjectMeta]) -> Result<Format, SourceError> {
    let names: Vec<(String, Option<Format>)> = files
        .iter()
        .map(|file| {
            let name = location.relative(&file.location);
            let format = detect(&name).ok();
            (name, format)
        })
        .collect();
    let count = |format: Format| names.iter().filter(|(_, f)| *f == Some(format)).count();
    let most = Format::ALL.into_iter().max_by_key(|f| count(*f)).filter(|f| count(*f) > 0);
    let Some(format) = most else {
        return Err(SourceError::UnknownFormat { path: location.display.clone() });
    };
    let mut stray: Vec<String> =
        names.into_iter().filter(|(_, f)| *f != Some(format)).map(|(n, _)| n).collect();
    if stray.is_empty() {
        return Ok(format);
    }
    stray.truncate(LISTED);
    Err(SourceError::StrayFiles { path: location.display.clone(), files: stray })
}

fn csv_table(
    files: &[read::Loaded],
    hint: Option<&Schema>,
    text_columns: &[String],
) -> Result<InputTable, SourceError> {
    let parsed = read::csv_files(files)?;
    let guesses = read::guesses(&parsed);
    let mut fields: Vec<Field> = Vec::new();
    for file in &parsed {
        for field in file.schema.fields() {
            let name = field.name();
            if !fields.iter().any(|f| f.name() == name)
                && let Some(guess) = guesses.get(name)
            {
                let hinted = hint.and_then(|schema| schema.field_with_name(name).ok());
                let data_type = column_type(&parsed, name, guess, hinted, text_columns)?;
                fields.push(Field::new(name, data_type, true));
            }
        }
    }
    let mut rows = Vec::with_capacity(parsed.len());
    for (file, csv) in files.iter().zip(parsed) {
        let own: Vec<Field> = csv
            .schema
            .fields()
            .iter()
            .filter_map(|f| fields.iter().find(|g| g.name() == f.name()).cloned())
            .collect();
        let schema: SchemaRef = Arc::new(Schema::new(own));
        let batches: Result<Vec<_>, _> = csv.batches.iter().map(|b| typed_batch(b, &schema)).collect();
        rows.push(RowFile { label: Arc::clone(&file.label), batches: batches?, places: None });
    }
    rows_have_same_columns(&rows)?;
    let decimal = |f: &&Field| matches!(f.data_type(), DataType::Decimal128(..));
    let rounds = |f: &&Field| guesses.get(f.name()).is_some_and(Guess::rounds);
    let exact = fields.iter().filter(decimal).filter(rounds).map(|f| f.name().clone()).collect();
    let mut table = read::row_table(files, &rows, &[], fields, false)?;
    table.report.exact_numbers = exact;
    Ok(table)
}

fn column_type(
    files: &[CsvFile],
    name: &str,
    guess: &Guess,
    hint: Option<&Field>,
    text_columns: &[String],
) -> Result<DataType, SourceError> {
    if let Some(hint) = hint {
        let hinted = unify::normal(hint.data_type());
        // A text with an offset is an instant, whatever the other side made of it.
        let naive = matches!(hinted, DataType::Timestamp(_, None)) && !guess.is_null() && !guess.is_civil();
        if !naive && fits(files, name, &hinted)? {
            return Ok(hinted);
        }
    } else if text_columns.iter().any(|c| c == name) {
        return Ok(DataType::Utf8);
    }
    if guess.is_null() {
        return Ok(DataType::Null);
    }
    let guessed = guess.data_type(true);
    Ok(if fits(files, name, &guessed)? { guessed } else { DataType::Utf8 })
}

fn fits(files: &[CsvFile], name: &str, data_type: &DataType) -> Result<bool, SourceError> {
    for batch in files.iter().flat_map(|f| &f.batches) {
        if let Some(column) = batch.column_by_name(name)
            && typed(column, data_type)?.is_none()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn typed_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SourceError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        arrays.push(typed(column, field.data_type())?.unwrap_or_else(|| Arc::clone(column)));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}
