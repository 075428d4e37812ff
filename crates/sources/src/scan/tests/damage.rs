//! Files that are cut off or damaged: an error or the rows that were written, never a panic.

use parquet::basic::Compression;

use super::{checksums::with_checksums, *};

/// Opens and reads a file as it stands there.
async fn outcome(folder: &Path) -> Result<RecordBatch, SourceError> {
    let scan = open(folder, "t.parquet").await?;
    all(&scan, 300)
}

fn table() -> RecordBatch {
    let whole = every_type().slice(0, 800);
    let some = ["id", "text Utf8", "float", "list", "Decimal128(38, 18)"];
    let schema = whole.schema();
    let places: Vec<usize> = some.iter().map(|name| schema.index_of(name).unwrap()).collect();
    whole.project(&places).unwrap()
}

#[tokio::test]
async fn an_empty_file_and_one_that_is_no_parquet_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    for content in ["", "PAR1", "id,v\n1,2\n", "PAR1 not a footer at all \u{7f}\u{7f}\u{7f}\u{7f}PAR1"] {
        put(folder.path(), "t.parquet", content);
        let error = outcome(folder.path()).await.unwrap_err();
        assert!(
            matches!(&error, SourceError::Corrupt { file, .. } if file.ends_with("t.parquet")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_cut_file_is_an_error_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = write(&table(), small_pages().build());
    let step = (bytes.len() / 60).max(1);
    let near_end = bytes.len().saturating_sub(40)..bytes.len();
    for length in (0..bytes.len()).step_by(step).chain(near_end) {
        put(folder.path(), "t.parquet", &bytes[..length]);
        let error = outcome(folder.path()).await.unwrap_err();
        assert!(matches!(error, SourceError::Corrupt { .. }), "cut at {length}: {error}");
    }
}

#[tokio::test]
async fn a_flipped_byte_of_a_page_breaks_its_checksum() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())]
    {
        let properties = small_pages().set_write_page_header_statistics(false);
        let bytes = with_checksums(&write(&table(), properties.set_compression(compression).build()));
        put(folder.path(), "t.parquet", &bytes);
        let scan = open(folder.path(), "t.parquet").await.unwrap();
        let (expected, data) = (all(&scan, 300).unwrap(), data(&scan));
        let step = (data.len() / 80).max(1);
        let mut noticed = 0;
        for at in data.clone().step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            put(folder.path(), "t.parquet", &damaged);
            // A header may hold a byte that means nothing; the data may not.
            match outcome(folder.path()).await {
                Ok(rows) => assert_eq!(rows, expected, "byte {at}"),
                Err(SourceError::Corrupt { .. }) => noticed += 1,
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
        assert!(noticed > 60, "{noticed} of {} noticed", data.len() / step);
    }
}

#[tokio::test]
async fn a_flipped_byte_anywhere_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = write(&table(), small_pages().build());
    put(folder.path(), "t.parquet", &bytes);
    let footer = data(&open(folder.path(), "t.parquet").await.unwrap()).end;
    let some_data = (0..footer).step_by(footer / 60);
    let index_and_footer = (footer..bytes.len()).step_by(((bytes.len() - footer) / 250).max(1));
    for at in some_data.chain(index_and_footer) {
        for flip in [0x01, 0x84] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            put(folder.path(), "t.parquet", &damaged);
            let scan = open(folder.path(), "t.parquet").await;
            let rows = scan.and_then(|scan| {
                // Bounds of a damaged footer may be wrong, but not fatal.
                scan.schema().fields().iter().for_each(|f| drop(scan.bounds(0, f.name())));
                all(&scan, 300)
            });
            if let Err(error) = rows {
                let told = matches!(error, SourceError::Corrupt { .. } | SourceError::Config(_));
                assert!(told, "byte {at}: {error}");
            }
        }
    }
}

/// Where the pages are.
fn data(scan: &ParquetScan) -> Range<usize> {
    let metadata = scan.inner.files[0].parquet().metadata();
    let chunks = metadata.row_groups().iter().flat_map(|g| g.columns());
    let end = chunks.map(|c| c.byte_range()).map(|(start, length)| start + length).max().unwrap();
    4..usize::try_from(end).unwrap()
}
