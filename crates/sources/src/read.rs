//! Declared inputs: files of one format under one shape.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    datatypes::{Field, Schema, SchemaRef},
};
use bson::RawDocumentBuf;
use bytes::Bytes;
use dualrun_core::shape::Shape;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;

use crate::{
    FileReport, FileSelection, Format, InputTable, Location, ReadReport, SourceError, bson_dump,
    column::Columns,
    csv::{self, CsvFile, Guess},
    documents::{self, DocumentFile},
    ejson,
    infer::{self, Learner, Seen},
    misfit::Misfits,
    parquet_file,
    rules::{self, Declared, Member},
    same_columns::rows_have_same_columns,
    select,
    unify::{self, Union},
};

/// Files that are fetched at the same time.
const FETCHES: usize = 8;

/// How often files are listed again when one of them is gone before it was fetched.
const ATTEMPTS: u32 = 3;

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// How the files are written.
    pub format: Format,
    /// Where they are.
    pub location: &'a Location,
    /// Which of them.
    pub files: FileSelection,
    /// How their fields are read.
    pub shape: &'a Shape,
    /// Whether a missing file or folder is an error; otherwise it is listed in the report.
    pub required: bool,
}

/// Reads the files of an input into one table with columns sorted by name.
///
/// Declared fields have the types of the shape in every format. Of the others, documents and CSV get a type from all
/// rows, Parquet columns keep theirs. A declared field that no file has is a column of nulls.
pub async fn read(request: &Request<'_>) -> Result<InputTable, SourceError> {
    let declared = Declared::of(request.shape)?;
    let mut attempts = 1;
    let (loaded, missing) = loop {
        let selected = match select::select(request.location, request.format, &request.files).await {
            Err(SourceError::Changed { .. }) if attempts < ATTEMPTS => {
                attempts += 1;
                continue;
            }
            selected => selected?,
        };
        if request.required
            && let Some(name) = selected.missing.first()
        {
            let path = format!(
                "{}/{}",
                request.location.display.trim_end_matches('/'),
                name.trim_start_matches("./")
            );
            return Err(SourceError::NotFound { path });
        }
        match load(request.location, selected.files).await {
            // A load has replaced it since it was listed.
            Err(SourceError::NotFound { .. }) if attempts < ATTEMPTS => attempts += 1,
            loaded => break (loaded?, selected.missing),
        }
    };
    let mut table = match request.format {
        Format::BsonDump => bson_table(&loaded, &declared)?,
        Format::JsonLines => json_table(&loaded, &declared)?,
        Format::Csv => csv_table(&loaded, &declared)?,
        Format::Parquet => parquet_table(&loaded, &declared)?,
    };
    table.report.missing_files = missing;
    Ok(table)
}

/// A file in memory.
pub(crate) struct Loaded {
    /// The whole name, for errors.
    pub(crate) name: String,
    /// The name relative to the location, for the report.
    pub(crate) label: Arc<str>,
    /// The content, decompressed.
    pub(crate) bytes: Bytes,
    meta: ObjectMeta,
}

pub(crate) async fn load(location: &Location, files: Vec<ObjectMeta>) -> Result<Vec<Loaded>, SourceError> {
    futures::stream::iter(files)
        .map(|meta| async move {
            let name = location.name(&meta.location);
            let relative = location.relative(&meta.location);
            let own =
                if relative.is_empty() { meta.location.filename().unwrap_or_default() } else { &relative };
            let bytes = bson_dump::gunzip(&name, location.fetch(&meta.location).await?)?;
            Ok(Loaded { name, label: own.into(), bytes, meta })
        })
        .buffered(FETCHES)
        .try_collect()
        .await
}

pub(crate) fn bson_table(files: &[Loaded], declared: &Declared) -> Result<InputTable, SourceError> {
    let mut learner = Learner::default();
    let mut parsed = Vec::with_capacity(files.len());
    for file in files {
        let documents = bson_dump::split(&file.name, &file.bytes)?;
        for (offset, document) in &documents {
            learner.document(document).map_err(|what| {
                SourceError::corrupt(&file.name, *offset, format!("damaged document: {what}"))
            })?;
        }
        parsed.push(DocumentFile { name: Arc::clone(&file.label), documents });
    }
    document_table(files, &parsed, declared, &learner.finish())
}

pub(crate) fn json_table(files: &[Loaded], declared: &Declared) -> Result<InputTable, SourceError> {
    let mut learner = Learner::default();
    let mut owned: Vec<Vec<(u64, RawDocumentBuf)>> = Vec::with_capacity(files.len());
    for file in files {
        let documents = ejson::parse(&file.name, &file.bytes)?;
        for (line, document) in &documents {
            learner.document(document).map_err(|what| SourceError::line(&file.name, *line, what))?;
        }
        owned.push(documents);
    }
    let parsed: Vec<_> = files
        .iter()
        .zip(&owned)
        .map(|(file, documents)| DocumentFile {
            name: Arc::clone(&file.label),
            documents: documents.iter().map(|(line, document)| (*line, document.as_ref())).collect(),
        })
        .collect();
    document_table(files, &parsed, declared, &learner.finish())
}

fn document_table(
    files: &[Loaded],
    parsed: &[DocumentFile<'_>],
    declared: &Declared,
    seen: &Seen,
) -> Result<InputTable, SourceError> {
    let mut misfits = Misfits::default();
    let (schema, batches) = documents::build(parsed, declared, seen, &mut misfits)?;
    let rows = parsed.iter().map(|p| p.documents.len() as u64);
    let mut report = report(files, rows, misfits);
    report.exact_numbers = seen.exact_numbers();
    Ok(InputTable { schema, batches, report })
}

fn csv_table(files: &[Loaded], declared: &Declared) -> Result<InputTable, SourceError> {
    let parsed = csv_files(files)?;
    let seen: BTreeMap<String, Seen> = guesses(&parsed)
        .into_iter()
        .map(|(name, guess)| {
            let seen = Seen::data_type(&guess.data_type(false));
            (name, seen)
        })
        .collect();
    let members = infer::members(&declared.fields, Some(&seen), "")?;
    let rows = files.iter().zip(parsed).map(|(file, csv)| RowFile {
        label: Arc::clone(&file.label),
        batches: csv.batches,
        places: Some(csv.lines),
    });
    row_table(files, &rows.collect::<Vec<_>>(), &members, Vec::new(), true)
}

/// The files of a CSV table as text.
pub(crate) fn csv_files(files: &[Loaded]) -> Result<Vec<CsvFile>, SourceError> {
    files.iter().map(|file| csv::parse(&file.name, &file.bytes)).collect()
}

/// What the values of each column look like, over all files.
pub(crate) fn guesses(files: &[CsvFile]) -> BTreeMap<String, Guess> {
    let mut guesses: BTreeMap<String, Guess> = BTreeMap::new();
    for file in files {
        for (i, field) in file.schema.fields().iter().enumerate() {
            let guess = guesses.entry(field.name().clone()).or_default();
            file.batches.iter().for_each(|batch| guess.column(batch.column(i)));
        }
    }
    guesses
}

/// A table of which nothing is declared. Its files have the same columns unless it `evolves`.
pub(crate) fn parquet_relation(files: &[Loaded], evolves: bool) -> Result<InputTable, SourceError> {
    parquet_rows(files, &Declared::nothing(), false, evolves)
}

fn parquet_table(files: &[Loaded], declared: &Declared) -> Result<InputTable, SourceError> {
    parquet_rows(files, declared, true, true)
}

fn parquet_rows(
    files: &[Loaded],
    declared: &Declared,
    sort: bool,
    evolves: bool,
) -> Result<InputTable, SourceError> {
    let mut union = Union::default();
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut rows = Vec::with_capacity(files.len());
    for file in files {
        let (schema, batches) = parquet_file::parse(&file.name, file.bytes.clone())?;
        let names: Vec<&String> = schema.fields().iter().map(|f| f.name()).collect();
        if let Some((_, twice)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(SourceError::Config(format!("{}: the column {twice:?} occurs twice", file.name)));
        }
        let plain = |f: &Field| Field::new(f.name(), unify::normal(f.data_type()), true);
        let fields: Vec<Field> = schema.fields().iter().map(|f| plain(f)).collect();
        for field in &fields {
            match declared.fields.contains_key(field.name()) {
                true => {
                    seen.entry(field.name().clone()).or_default().merge(&Seen::data_type(field.data_type()))
                }
                false => union.add(field, &file.name)?,
            }
        }
        let target: SchemaRef = Arc::new(Schema::new(fields));
        let batches: Result<Vec<_>, _> = batches.iter().map(|batch| plain_batch(batch, &target)).collect();
        rows.push(RowFile { label: Arc::clone(&file.label), batches: batches?, places: None });
    }
    if !evolves {
        rows_have_same_columns(&rows)?;
    }
    let members = infer::members(&declared.fields, Some(&seen), "")?;
    let mut rest = union.fields(declared.untyped_nulls);
    rest.retain(|field| !members.iter().any(|m| m.missing && m.missing_name() == *field.name()));
    row_table(files, &rows, &members, rest, sort)
}

pub(crate) fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SourceError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Result<Vec<_>, _> =
        columns.map(|(column, field)| unify::adapt(column, field.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns?, &options)?)
}

/// Rows of a file as arrays.
pub(crate) struct RowFile {
    pub(crate) label: Arc<str>,
    pub(crate) batches: Vec<RecordBatch>,
    /// The place of each row for misfits; the number of the row where not given.
    pub(crate) places: Option<Vec<u64>>,
}

/// Puts rows together: `members` are read by their rules, the columns `rest` as they are.
pub(crate) fn row_table(
    files: &[Loaded],
    rows: &[RowFile],
    members: &[Member],
    rest: Vec<Field>,
    sort: bool,
) -> Result<InputTable, SourceError> {
    let mut shaper = RowShaper::new(members, rest, sort);
    let mut batches = Vec::new();
    for file in rows {
        let mut first = 0;
        for batch in &file.batches {
            let place = |row: usize| {
                let number = first + row;
                file.places.as_ref().and_then(|p| p.get(number)).copied().unwrap_or(number as u64)
            };
            batches.push(shaper.batch(&file.label, batch, place)?);
            first += batch.num_rows();
        }
    }
    let counts = rows.iter().map(|f| f.batches.iter().map(|b| b.num_rows() as u64).sum());
    let schema = Arc::clone(&shaper.schema);
    Ok(InputTable { schema, batches, report: report(files, counts, shaper.finish()) })
}

/// Brings rows of arrays under rules, batch by batch.
pub(crate) struct RowShaper {
    pub(crate) schema: SchemaRef,
    /// Places of the columns among those of the members and the rest.
    order: Vec<usize>,
    rest: Vec<Field>,
    columns: Columns,
    misfits: Misfits,
}

impl RowShaper {
    /// `members` are read by their rules, the columns `rest` as they are.
    pub(crate) fn new(members: &[Member], rest: Vec<Field>, sort: bool) -> Self {
        let mut fields = rules::fields(members);
        fields.extend(rest.iter().cloned());
        let mut order: Vec<usize> = (0..fields.len()).collect();
        if sort {
            order.sort_by(|a, b| fields[*a].name().cmp(fields[*b].name()));
        }
        let schema = Arc::new(Schema::new(order.iter().map(|i| fields[*i].clone()).collect::<Vec<_>>()));
        Self { schema, order, rest, columns: Columns::new(members, ""), misfits: Misfits::default() }
    }

    /// The rows of a batch; `place` says where one of them stands.
    pub(crate) fn batch(
        &mut self,
        label: &Arc<str>,
        batch: &RecordBatch,
        place: impl Fn(usize) -> u64,
    ) -> Result<RecordBatch, SourceError> {
        for row in 0..batch.num_rows() {
            self.misfits.row(label, place(row));
            self.columns.append_row(|name| batch.column_by_name(name), row, &mut self.misfits);
        }
        let mut arrays: Vec<ArrayRef> = self.columns.arrays()?;
        for field in &self.rest {
            arrays.push(match batch.column_by_name(field.name()) {
                Some(column) => unify::adapt(column, field.data_type())?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        }
        let arrays = self.order.iter().map(|i| Arc::clone(&arrays[*i])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }

    /// What did not fit.
    pub(crate) fn finish(self) -> Misfits {
        self.misfits
    }
}

fn report(files: &[Loaded], rows: impl Iterator<Item = u64>, misfits: Misfits) -> ReadReport {
    let files: Vec<FileReport> = files
        .iter()
        .zip(rows)
        .map(|(file, rows)| FileReport {
            path: file.label.to_string(),
            bytes: file.meta.size,
            rows,
            e_tag: file.meta.e_tag.clone(),
            last_modified: Some(file.meta.last_modified.to_rfc3339()),
        })
        .collect();
    let rows = files.iter().map(|f| f.rows).sum();
    let (misfits, misfit_documents) = misfits.finish();
    ReadReport { files, rows, misfits, misfit_documents, ..ReadReport::default() }
}
