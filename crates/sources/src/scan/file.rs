//! One file of a scan: its footer, read and checked.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    errors::ParquetError,
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData},
};
use tokio::runtime::Handle;

use super::{
    chunks::Chunks,
    columns,
    guard::guarded,
    local::{LocalFile, LocalPath},
    remote::{Plan, RemoteBlocks, RemoteFile},
};
use crate::{FileReport, SourceError, unify};

/// What is fetched of a remote file at first: most footers with their page index fit.
const TAIL_BYTES: u64 = 256 << 10;

/// What is said where the decoder panics.
pub(super) const NONSENSE: &str = "the decoder cannot make sense of it";

/// An opened file.
#[derive(Debug)]
pub(super) struct ScanFile {
    name: Arc<str>,
    label: String,
    meta: ObjectMeta,
    store: Arc<dyn ObjectStore>,
    origin: Origin,
    parquet: ArrowReaderMetadata,
    plain: Vec<Field>,
    rows: u64,
}

#[derive(Debug)]
enum Origin {
    Local(LocalPath),
    Remote(Arc<RemoteFile>),
}

impl ScanFile {
    /// Reads the footer of the file that `meta` describes. `keep`: a local file stays open.
    pub(super) async fn open(
        store: Arc<dyn ObjectStore>,
        meta: ObjectMeta,
        name: String,
        label: String,
        keep: bool,
    ) -> Result<Self, SourceError> {
        let name: Arc<str> = name.into();
        if meta.size == 0 {
            return Err(damaged(&name, "the file is empty, a Parquet file has a footer"));
        }
        let runtime = Handle::try_current().map_err(|_| {
            SourceError::Config("Parquet files are opened inside of a tokio runtime".to_owned())
        })?;
        // A range leaves the rest of a remote file where it is. A local store gives the open file.
        let start = meta.size.saturating_sub(TAIL_BYTES);
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..meta.size)),
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        let answer = store.get_opts(&meta.location, options).await.map_err(|e| failed(&name, e))?;
        if !same(&answer.meta, &meta) {
            return Err(SourceError::Changed { file: name.to_string() });
        }
        let (origin, chunks) = match answer.payload {
            GetResultPayload::File(file, path) => {
                let file = Arc::new(LocalFile::new(file, Arc::clone(&name))?);
                (Origin::Local(LocalPath::new(path, Arc::clone(&file), keep)), Chunks::local(file))
            }
            GetResultPayload::Stream(_) => {
                let tail = answer.bytes().await.map_err(|e| failed(&name, e))?;
                let file = RemoteFile::new(Arc::clone(&store), meta.clone(), Arc::clone(&name), runtime);
                file.count(meta.size - start);
                let file = Arc::new(file);
                let blocks = RemoteBlocks::new(Arc::clone(&file), Plan::exact(Some((start, tail))));
                (Origin::Remote(file), Chunks::remote(blocks))
            }
        };
        let owned = Arc::clone(&name);
        let parsed = tokio::task::spawn_blocking(move || guarded(|| footer(&owned, &chunks))).await;
        let nonsense = || damaged(&name, format!("not a readable Parquet file: {NONSENSE}"));
        let (parquet, rows) = parsed.ok().flatten().ok_or_else(nonsense)??;
        let plain = plain(&name, parquet.schema())?;
        Ok(Self { name, label, meta, store, origin, parquet, plain, rows })
    }

    /// The whole name, for errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn parquet(&self) -> &ArrowReaderMetadata {
        &self.parquet
    }

    /// The columns as they are read: text as views.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.parquet.schema()
    }

    /// The columns with plain types.
    pub(super) fn plain(&self) -> &[Field] {
        &self.plain
    }

    /// The names of its columns.
    pub(super) fn columns(&self) -> Vec<&str> {
        self.plain.iter().map(|field| field.name().as_str()).collect()
    }

    /// Rows and stored bytes of each row group.
    pub(super) fn groups(&self) -> impl Iterator<Item = (u64, u64)> {
        let bytes = |group: &RowGroupMetaData| {
            group.columns().iter().map(|c| u64::try_from(c.compressed_size()).unwrap_or(0)).sum()
        };
        self.parquet.metadata().row_groups().iter().map(move |g| (group_rows(g), bytes(g)))
    }

    pub(super) fn report(&self) -> FileReport {
        FileReport {
            path: self.label.clone(),
            bytes: self.meta.size,
            rows: self.rows,
            e_tag: self.meta.e_tag.clone(),
            last_modified: Some(self.meta.last_modified.to_rfc3339()),
        }
    }

    /// Bytes for one reader; `plan` tells what of a remote file it is going to need.
    pub(super) fn chunks(&self, plan: impl FnOnce() -> Plan) -> Result<Chunks, SourceError> {
        Ok(match &self.origin {
            Origin::Local(path) => Chunks::local(path.open()?),
            Origin::Remote(file) => Chunks::remote(RemoteBlocks::new(Arc::clone(file), plan())),
        })
    }

    /// Requests to a remote store, and the bytes that they asked for.
    pub(super) fn fetched(&self) -> (u64, u64) {
        match &self.origin {
            Origin::Local(_) => (0, 0),
            Origin::Remote(file) => file.counts(),
        }
    }

    /// An error where another file, or none, stands there by now.
    pub(super) async fn verify(&self) -> Result<(), SourceError> {
        match self.store.head(&self.meta.location).await {
            Ok(now) if same(&now, &self.meta) => Ok(()),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                Err(SourceError::Changed { file: self.name.to_string() })
            }
            Err(error) => Err(SourceError::access(self.name.to_string(), error)),
        }
    }
}

/// Whether two answers of a store are about one version of a file.
pub(super) fn same(a: &ObjectMeta, b: &ObjectMeta) -> bool {
    // Listings may round the time; where both know a version, that decides.
    let version = match (&a.e_tag, &b.e_tag) {
        (Some(a), Some(b)) => a == b,
        _ => a.last_modified == b.last_modified,
    };
    a.size == b.size && version
}

pub(super) fn failed(name: &str, error: object_store::Error) -> SourceError {
    match error {
        object_store::Error::Precondition { .. } => SourceError::Changed { file: name.to_owned() },
        error => SourceError::access(name, error),
    }
}

pub(super) fn damaged(name: &str, what: impl Into<String>) -> SourceError {
    SourceError::Corrupt { file: name.to_owned(), offset: None, what: what.into() }
}

/// The rows of a checked row group.
fn group_rows(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

/// Reads the footer; text columns are declared as views.
fn footer(name: &str, chunks: &Chunks) -> Result<(ArrowReaderMetadata, u64), SourceError> {
    let unreadable = |error: ParquetError| {
        let text = match error {
            ParquetError::General(text) | ParquetError::EOF(text) => text,
            other => other.to_string(),
        };
        chunks.failure().unwrap_or_else(|| damaged(name, format!("not a readable Parquet file: {text}")))
    };
    let read = || ParquetMetaDataReader::new().parse_and_finish(chunks).map_err(unreadable);
    let metadata = read()?;
    let rows = check(name, &metadata, chunks)?;
    // The index only makes things faster: without one that makes sense, the file is read without.
    let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    let indexed = reader.read_page_indexes(chunks).and_then(|()| reader.finish());
    let metadata = match indexed {
        Ok(metadata) if has_sound_index(&metadata) => metadata,
        Ok(metadata) => metadata.into_builder().set_offset_index(None).build(),
        Err(_) => read()?,
    };
    let metadata = Arc::new(metadata);
    let stored =
        ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new()).map_err(unreadable)?;
    let fields = stored.schema().fields().iter();
    let fields: Vec<Field> =
        fields.map(|f| f.as_ref().clone().with_data_type(columns::viewed(f.data_type()))).collect();
    let viewed = Arc::new(Schema::new_with_metadata(fields, stored.schema().metadata().clone()));
    // Where the decoder cannot read a column as a view it reads what is stored, and the batch is cast.
    let viewed = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new().with_schema(viewed));
    Ok((viewed.unwrap_or(stored), rows))
}

/// Refuses counts and places that cannot be: the decoder trusts them. Gives the rows.
fn check(name: &str, metadata: &ParquetMetaData, chunks: &Chunks) -> Result<u64, SourceError> {
    use parquet::file::reader::Length;
    let size = chunks.len();
    let leaves = metadata.file_metadata().schema_descr().num_columns();
    let mut rows: u64 = 0;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let wrong = |what: &str| damaged(name, format!("damaged Parquet footer: row group {number} {what}"));
        rows = u64::try_from(group.num_rows())
            .ok()
            .and_then(|own| rows.checked_add(own))
            .ok_or_else(|| wrong("has an impossible number of rows"))?;
        if group.columns().len() != leaves {
            return Err(wrong("lacks columns"));
        }
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let range = (u64::try_from(start).ok(), u64::try_from(column.compressed_size()).ok());
            let (Some(start), Some(length)) = range else {
                return Err(wrong("has a column at an impossible place"));
            };
            if start.checked_add(length).is_none_or(|end| end > size) {
                return Err(wrong("has a column that reaches beyond the file"));
            }
        }
    }
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(rows) {
        return Err(damaged(name, "damaged Parquet footer: its row groups do not add up to its rows"));
    }
    Ok(rows)
}

/// Whether the pages of every column follow each other without a gap and start at rows of their group.
fn has_sound_index(metadata: &ParquetMetaData) -> bool {
    let Some(index) = metadata.offset_index() else { return true };
    index.len() == metadata.num_row_groups()
        && index.iter().zip(metadata.row_groups()).all(|(columns, group)| {
            columns.len() == group.columns().len()
                && columns.iter().zip(group.columns()).all(|(column, chunk)| {
                    let (start, length) = chunk.byte_range();
                    let (Ok(start), Ok(end)) = (i64::try_from(start), i64::try_from(start + length)) else {
                        return false;
                    };
                    let pages = column.page_locations();
                    let Some((first, last)) = pages.first().zip(pages.last()) else {
                        return group.num_rows() == 0;
                    };
                    let after = |p: &parquet::file::page_index::offset_index::PageLocation| {
                        p.offset.checked_add(i64::from(p.compressed_page_size))
                    };
                    first.first_row_index == 0
                        && first.offset >= start
                        && first.offset - start <= i64::from(i32::MAX)
                        && after(last) == Some(end)
                        && last.first_row_index < group.num_rows()
                        && pages.iter().all(|p| p.compressed_page_size > 0)
                        && pages.windows(2).all(|two| {
                            two[0].first_row_index < two[1].first_row_index
                                && after(&two[0]) == Some(two[1].offset)
                        })
                })
        })
}

fn plain(name: &str, schema: &Schema) -> Result<Vec<Field>, SourceError> {
    let names: Vec<&String> = schema.fields().iter().map(|f| f.name()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|two| two[0] == two[1]) {
        return Err(SourceError::Config(format!("{name}: the column {:?} occurs twice", twice[0])));
    }
    let field = |f: &Arc<Field>| Field::new(f.name(), unify::normal(f.data_type()), true);
    Ok(schema.fields().iter().map(field).collect())
}
