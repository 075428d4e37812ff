//! One partition: what is there, and what came.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array},
    compute::{can_cast_types, cast, filter_record_batch},
    datatypes::{Field, Schema, SchemaRef},
};
use dualrun_core::load::LoadedRows;
use dualrun_sources::{Location, SourceError, commits::DataFile, fit, one_schema};
use futures::TryStreamExt;

use crate::{
    FileWriter, LakeError, Spooled, Stamp,
    file::FileReader,
    rows::{Hasher, data_fields},
};

/// New rows in what is said of their columns.
pub(crate) const CAME: &str = "what came from the source";

/// How new rows meet those that are there.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The columns by which a row replaces another one. Without a key, rows are the same where all of them is.
    pub key: Option<&'a [String]>,
    /// Whether the new rows are all there are: what is not among them goes.
    pub replace: bool,
    /// Hashes of keys whose rows stand in another partition now.
    pub evict: &'a HashSet<u128>,
}

/// A partition after new rows came.
#[derive(Debug)]
pub struct Merged {
    /// Its files: those that were there where nothing changed.
    pub files: Vec<DataFile>,
    /// What came of the rows; `read` and `total` are the caller's.
    pub rows: LoadedRows,
    /// Whether something changed.
    pub touched: bool,
}

/// The new rows of one key.
struct Entry {
    content: u128,
    /// How many rows; more than one only without a key.
    rows: u32,
    /// How many of them are there already, as they are.
    same: u32,
    /// How many of these have been passed over, in the old files and among the new rows.
    passed: [u32; 2],
    replaces: bool,
}

/// Brings new rows into a partition. What is there is read once to see whether anything changed, and once more to be
/// written anew with the new rows; in memory stand the hashes of the new keys, and a batch.
///
/// # Errors
/// The store refuses or is away; a key that occurs twice among the new rows; types that do not go together, unless the new rows
/// are all there are. The partition is as it was then.
pub async fn merge(
    table: &Location,
    there: &[DataFile],
    new: Option<&Spooled>,
    new_schema: &SchemaRef,
    rules: &Rules<'_>,
    stamp: &Stamp,
    path: &str,
) -> Result<Merged, LakeError> {
    let mut old = Vec::with_capacity(there.len());
    for file in there {
        old.push(FileReader::open(table, file).await?);
    }
    let Columns { schema, retyped } = Columns::of(&old, new_schema, new.is_some(), rules.replace)?;
    let data: SchemaRef = Arc::new(Schema::new(data_fields(&schema).cloned().collect::<Vec<_>>()));
    let by = By::new(&data, rules.key)?;
    let mut entries = entries(new, &data, &by)?;
    let mut rows = LoadedRows::default();
    for file in &old {
        let mut batches = file.rows(None)?;
        while let Some(batch) = batches.try_next().await? {
            let batch = kept(&batch, &data, rules.replace)?;
            for (key, content) in by.hashes(&batch)? {
                count(&mut entries, &mut rows, rules, key, content);
            }
        }
    }
    let added = |e: &Entry| u64::from(e.rows.saturating_sub(e.same).saturating_sub(u32::from(e.replaces)));
    rows.added = entries.values().map(added).sum();
    if !retyped && rows.added + rows.changed + rows.removed + rows.moved == 0 {
        return Ok(Merged { files: there.to_vec(), rows, touched: false });
    }
    let mut file = FileWriter::new(table, path, &schema)?;
    let mut left = 0;
    for old in &old {
        let mut batches = old.rows(None)?;
        while let Some(batch) = batches.try_next().await? {
            let batch = kept(&batch, &schema, rules.replace)?;
            let hashes = by.hashes(&fit(&batch, &data)?)?;
            let keep =
                hashes.into_iter().map(|(key, content)| Some(stays(&mut entries, rules, key, content)));
            left += write(&mut file, &batch, keep.collect()).await?;
        }
    }
    for batch in new.into_iter().flat_map(Spooled::batches) {
        let batch = fit(&batch?, &data)?;
        let hashes = by.hashes(&batch)?;
        let comes = hashes.into_iter().map(|(key, _)| Some(comes(&mut entries, key)));
        left += write(&mut file, &stamp.on(&batch, &schema)?, comes.collect()).await?;
    }
    // A partition without rows has no file.
    let files = if left > 0 { vec![file.finish().await?] } else { Vec::new() };
    Ok(Merged { files, rows, touched: true })
}

/// The columns of a partition as it is going to be, with the stamp.
struct Columns {
    schema: SchemaRef,
    /// Whether a column has another type than in the files that are there.
    retyped: bool,
}

impl Columns {
    /// Those of all files and of the new rows. Where their types do not go together, those of the new rows count if these
    /// are all there are, and those of the files if no row comes.
    fn of(old: &[FileReader], new: &SchemaRef, comes: bool, replace: bool) -> Result<Self, LakeError> {
        let files = || old.iter().map(|reader| (reader.schema(), reader.name()));
        let (all, retyped) = match one_schema(files().chain([(new, CAME)])) {
            Err(SourceError::SchemaDrift { .. }) if replace => (one_schema([(new, CAME)])?, true),
            Err(SourceError::SchemaDrift { .. }) if !comes => (one_schema(files())?, false),
            all => (all.map_err(LakeError::of_types)?, false),
        };
        Ok(Self { schema: Stamp::schema(&all), retyped })
    }
}

/// Rows that are there under the columns of the partition. Where the new rows are all there are, a value that cannot have
/// the type of its column is null: only a row that came just so stays.
fn kept(batch: &RecordBatch, schema: &SchemaRef, replace: bool) -> Result<RecordBatch, LakeError> {
    match fit(batch, schema) {
        Err(_) if replace => {}
        fitted => return Ok(fitted?),
    }
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| -> ArrayRef {
        let nulls = || new_null_array(field.data_type(), rows);
        match batch.column_by_name(field.name()) {
            Some(column) if can_cast_types(column.data_type(), field.data_type()) => {
                cast(column, field.data_type()).unwrap_or_else(|_| nulls())
            }
            _ => nulls(),
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// By what rows are recognised.
struct By {
    key: Option<Hasher>,
    content: Hasher,
}

impl By {
    fn new(data: &SchemaRef, key: Option<&[String]>) -> Result<Self, LakeError> {
        let key = key.map(|key| Hasher::of_key(data, key)).transpose()?;
        Ok(Self { key, content: Hasher::of_content(data)? })
    }

    fn hashes(&self, batch: &RecordBatch) -> Result<Vec<(u128, u128)>, LakeError> {
        let content = self.content.hash(batch)?;
        let key = match &self.key {
            Some(key) => key.hash(batch)?,
            None => content.clone(),
        };
        Ok(key.into_iter().zip(content).collect())
    }
}

fn entries(new: Option<&Spooled>, data: &SchemaRef, by: &By) -> Result<HashMap<u128, Entry>, LakeError> {
    let mut entries: HashMap<u128, Entry> = HashMap::new();
    let mut twice = 0;
    for batch in new.into_iter().flat_map(Spooled::batches) {
        for (key, content) in by.hashes(&fit(&batch?, data)?)? {
            let fresh = || Entry { content, rows: 0, same: 0, passed: [0; 2], replaces: false };
            let entry = entries.entry(key).or_insert_with(fresh);
            entry.rows += 1;
            twice += u64::from(entry.rows > 1);
        }
    }
    match by.key.is_some() && twice > 0 {
        true => Err(LakeError::KeyTwice { rows: twice }),
        false => Ok(entries),
    }
}

/// Says what becomes of a row that is there.
fn count(
    entries: &mut HashMap<u128, Entry>,
    rows: &mut LoadedRows,
    rules: &Rules<'_>,
    key: u128,
    content: u128,
) {
    if rules.evict.contains(&key) {
        rows.moved += 1;
        return;
    }
    match entries.get_mut(&key) {
        Some(entry) if entry.content == content && entry.same < entry.rows => {
            entry.same += 1;
            rows.unchanged += 1;
        }
        Some(entry) if rules.key.is_some() => {
            entry.replaces = true;
            rows.changed += 1;
        }
        _ => rows.removed += u64::from(rules.replace),
    }
}

/// Whether a row that is there is written anew.
fn stays(entries: &mut HashMap<u128, Entry>, rules: &Rules<'_>, key: u128, content: u128) -> bool {
    if rules.evict.contains(&key) {
        return false;
    }
    match entries.get_mut(&key) {
        Some(entry) if entry.content == content && entry.passed[0] < entry.same => {
            entry.passed[0] += 1;
            true
        }
        Some(_) if rules.key.is_some() => false,
        _ => !rules.replace,
    }
}

/// Whether a new row is written: where it is not there as it is.
fn comes(entries: &mut HashMap<u128, Entry>, key: u128) -> bool {
    match entries.get_mut(&key) {
        Some(entry) if entry.passed[1] < entry.same => {
            entry.passed[1] += 1;
            false
        }
        _ => true,
    }
}

async fn write(file: &mut FileWriter, batch: &RecordBatch, keep: BooleanArray) -> Result<u64, LakeError> {
    let kept = filter_record_batch(batch, &keep)?;
    if kept.num_rows() > 0 {
        file.write(&kept).await?;
    }
    Ok(kept.num_rows() as u64)
}

#[cfg(test)]
mod tests;
