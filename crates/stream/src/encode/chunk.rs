//! The pages of one column of a row group.

use std::sync::Arc;

use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, PageType},
    column::{
        page::{CompressedPage, Page, PageWriter},
        writer::ColumnCloseResult,
    },
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, PageEncodingStats},
        statistics::Statistics,
        writer::{SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};

/// Of the first page so many bytes are compressed to see whether that is worth while.
const SAMPLE: usize = 1 << 14;

/// Pages as they will stand in the file.
pub(super) struct Chunk {
    column: ColumnDescPtr,
    data: TrackedWrite<Vec<u8>>,
    /// None until the first page decides.
    is_compressed: Option<bool>,
    uncompressed: usize,
    values: u64,
    /// Data pages of codes and of plain values.
    pages: [i32; 2],
    snappy: snap::raw::Encoder,
}

/// How the values of a page are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Codes,
    Plain,
}

impl Chunk {
    /// `room` is memory that may be used again.
    pub(super) fn new(column: ColumnDescPtr, is_compressed: Option<bool>, room: Vec<u8>) -> Self {
        let data = TrackedWrite::new(room);
        let snappy = snap::raw::Encoder::new();
        Self { column, data, is_compressed, uncompressed: 0, values: 0, pages: [0; 2], snappy }
    }

    /// Adds a page of so many values, nulls among them: from `start` on its levels, then what is not null. Gives the memory
    /// back.
    pub(super) fn page(
        &mut self,
        body: Vec<u8>,
        start: usize,
        rows: usize,
        held: Held,
    ) -> Result<Vec<u8>, ParquetError> {
        let encoding = match held {
            Held::Codes => Encoding::RLE_DICTIONARY,
            Held::Plain => Encoding::PLAIN,
        };
        self.pages[usize::from(held == Held::Plain)] += 1;
        self.values += rows as u64;
        let length = body.len() - start;
        let compressed = self.compressed(&body[start..])?.map(Bytes::from);
        let body = Bytes::from(body);
        let buf = compressed.unwrap_or_else(|| body.slice(start..));
        let page = Page::DataPage {
            buf,
            num_values: u32::try_from(rows).map_err(|_| too_large())?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = SerializedPageWriter::new(&mut self.data).write_page(CompressedPage::new(page, length))?;
        self.uncompressed += spec.uncompressed_size;
        // The page is gone, so that nothing else holds these bytes and they are not copied.
        let mut room = Vec::from(body);
        room.clear();
        Ok(room)
    }

    /// The whole column, with the texts of its dictionary where it has one.
    pub(super) fn close(
        mut self,
        dictionary: Option<(Vec<u8>, usize)>,
        statistics: Option<Statistics>,
    ) -> Result<(Vec<u8>, ColumnCloseResult), ParquetError> {
        let mut whole = Vec::new();
        let mut encodings = vec![Encoding::RLE];
        let mut stats = Vec::new();
        if let Some((texts, count)) = dictionary {
            let length = texts.len();
            let buf = self.compressed(&texts)?.unwrap_or(texts).into();
            let num_values = u32::try_from(count).map_err(|_| too_large())?;
            let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
            let mut head = TrackedWrite::new(Vec::new());
            let spec = SerializedPageWriter::new(&mut head).write_page(CompressedPage::new(page, length))?;
            self.uncompressed += spec.uncompressed_size;
            whole = head.into_inner()?;
            encodings.push(Encoding::PLAIN);
            stats.push(stat(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
        }
        let head = whole.len();
        let data = self.data.into_inner()?;
        let whole = if head == 0 {
            data
        } else {
            whole.extend_from_slice(&data);
            whole
        };
        for (encoding, count) in [Encoding::RLE_DICTIONARY, Encoding::PLAIN].into_iter().zip(self.pages) {
            if count > 0 {
                encodings.push(encoding);
                stats.push(stat(PageType::DATA_PAGE, encoding, count));
            }
        }
        let compression =
            if self.is_compressed == Some(true) { Compression::SNAPPY } else { Compression::UNCOMPRESSED };
        let size = |bytes: usize| i64::try_from(bytes).map_err(|_| too_large());
        let mut metadata = ColumnChunkMetaData::builder(Arc::clone(&self.column))
            .set_compression(compression)
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(size(whole.len())?)
            .set_total_uncompressed_size(size(self.uncompressed)?)
            .set_num_values(i64::try_from(self.values).map_err(|_| too_large())?)
            .set_dictionary_page_offset((head > 0).then_some(0))
            .set_data_page_offset(size(head)?);
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let closed = ColumnCloseResult {
            bytes_written: whole.len() as u64,
            rows_written: self.values,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((whole, closed))
    }

    /// None where it stays as it is.
    fn compressed(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, ParquetError> {
        let failed = |error: snap::Error| ParquetError::External(error.into());
        let is_compressed = match self.is_compressed {
            Some(known) => known,
            None => {
                let sample = &body[body.len() / 2..][..SAMPLE.min(body.len() - body.len() / 2)];
                let smaller = self.snappy.compress_vec(sample).map_err(failed)?;
                let worth = smaller.len() < sample.len() / 8 * 7;
                self.is_compressed = Some(worth);
                worth
            }
        };
        is_compressed.then(|| self.snappy.compress_vec(body).map_err(failed)).transpose()
    }
}

fn stat(page_type: PageType, encoding: Encoding, count: i32) -> PageEncodingStats {
    PageEncodingStats { page_type, encoding, count }
}

fn too_large() -> ParquetError {
    ParquetError::General("a column of a row group is too large".to_owned())
}
