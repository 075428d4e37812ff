//! Page checksums, which the writer of the parquet crate does not write.

use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
};

/// A file with its offset index as one without, whose pages have checksums.
pub(super) fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let source = bytes::Bytes::copy_from_slice(bytes);
    let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
    let metadata: ParquetMetaData = reader.parse_and_finish(&source).unwrap();
    let index = metadata.offset_index().unwrap().clone();
    let mut out = b"PAR1".to_vec();
    let mut groups = Vec::new();
    for (group, pages) in metadata.row_groups().iter().zip(&index) {
        let mut columns: Vec<ColumnChunkMetaData> = Vec::new();
        for (column, pages) in group.columns().iter().zip(pages) {
            let start = out.len() as i64;
            let locations = pages.page_locations();
            let dictionary = column.dictionary_page_offset().map(|offset| (offset, locations[0].offset));
            if let Some((from, to)) = dictionary {
                page(&bytes[from as usize..to as usize], &mut out);
            }
            let data = out.len() as i64;
            for location in locations {
                let from = location.offset as usize;
                page(&bytes[from..from + location.compressed_page_size as usize], &mut out);
            }
            let builder = column.clone().into_builder().set_data_page_offset(data);
            let builder = builder.set_dictionary_page_offset(dictionary.map(|_| start));
            let builder = builder.set_total_compressed_size(out.len() as i64 - start);
            let builder = builder.set_offset_index_offset(None).set_offset_index_length(None);
            let builder = builder.set_column_index_offset(None).set_column_index_length(None);
            columns.push(builder.build().unwrap());
        }
        groups.push(group.clone().into_builder().set_column_metadata(columns).build().unwrap());
    }
    let metadata = metadata.into_builder().set_row_groups(groups).set_offset_index(None).build();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish().unwrap();
    out.extend(footer);
    out
}

/// Writes a page with the checksum put in as the fourth field of its header, in the compact protocol of Thrift.
fn page(page: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    let mut compressed = 0;
    for _ in 0..3 {
        assert_eq!(page[at], 0x15, "the next field, a 32 bit number");
        at += 1;
        let mut zigzag = 0_u64;
        for shift in (0..).step_by(7) {
            zigzag |= u64::from(page[at] & 0x7f) << shift;
            at += 1;
            if page[at - 1] < 0x80 {
                break;
            }
        }
        compressed = (zigzag >> 1) as usize;
    }
    let mut crc = flate2::Crc::new();
    crc.update(&page[page.len() - compressed..]);
    let sum = crc.sum() as i32;
    let mut zigzag = ((sum << 1) ^ (sum >> 31)) as u32;
    out.extend_from_slice(&page[..at]);
    out.push(0x15);
    while zigzag >= 0x80 {
        out.push((zigzag & 0x7f) as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
    // The next field's number is given by its distance, now one less.
    out.push(page[at] - 0x10);
    out.extend_from_slice(&page[at + 1..]);
}
