//! Splits parts that turned out too large.

use std::sync::{Mutex, PoisonError};

use dualrun_compare::Scope;

use super::{
    bounds::Bounds,
    each,
    layout::{Layout, bytes_at},
    scatter::{Scatter, packed},
    sizes::Sizes,
    store::{Part, Space, Store},
};
use crate::error::StreamError;

/// Order values by which a part is split.
const SAMPLE: u64 = 1 << 16;
/// So often a part is split. Each time it becomes hundreds of times smaller.
const DEEPEST: usize = 6;

/// Splits parts until none is too large, apart from those that cannot be split.
pub(super) fn split_large(
    mut parts: Vec<Part>,
    space: &Space,
    layout: &Layout,
    sizes: &Sizes,
    threads: usize,
    by_customer: bool,
) -> Result<Vec<Part>, StreamError> {
    for _ in 0..DEEPEST {
        if parts.iter().all(|part| part.bytes <= sizes.part_bytes) {
            break;
        }
        let before: Vec<Mutex<Vec<Part>>> = parts.into_iter().map(|part| Mutex::new(vec![part])).collect();
        each(
            before.len(),
            threads,
            || (),
            |(), number| {
                let mut place = before[number].lock().unwrap_or_else(PoisonError::into_inner);
                let mut after = Vec::new();
                for part in place.drain(..) {
                    if part.bytes <= sizes.part_bytes {
                        after.push(part);
                    } else {
                        after.extend(split(part, space, layout, sizes, by_customer)?);
                    }
                }
                *place = after;
                Ok(())
            },
            |()| Ok(()),
        )?;
        parts =
            before.into_iter().flat_map(|p| p.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    }
    Ok(parts)
}

fn split(
    part: Part,
    space: &Space,
    layout: &Layout,
    sizes: &Sizes,
    by_customer: bool,
) -> Result<Vec<Part>, StreamError> {
    let step = (part.rows() / SAMPLE).max(1) as usize;
    let mut sample = Vec::new();
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    let mut rows = Vec::new();
    for chunk in part.chunks.iter().flatten() {
        rows.resize(chunk.rows() * layout.width, 0);
        space.read_rows(chunk, 0, &mut rows)?;
        for (number, row) in rows.chunks_exact(layout.width).enumerate() {
            let value = Layout::order(row);
            least = least.min(value);
            most = most.max(value);
            if number % step == 0 {
                sample.push(value);
            }
        }
    }
    if least >= most {
        return Ok(vec![part]);
    }
    // Both ends belong to the sample, so that it tells at least two values apart.
    sample.extend([least, most]);
    let scope = part.scope;
    let bounds = Bounds::new(sample, sizes.parts_of(part.bytes).max(2), by_customer);
    let store = Store::new(space, &bounds);
    for (side, chunks) in part.chunks.into_iter().enumerate() {
        let mut scatter = Scatter::new(layout, &bounds, &store, side, sizes.waiting_bytes);
        for chunk in chunks {
            rows.resize(chunk.rows() * layout.width, 0);
            space.read_rows(&chunk, 0, &mut rows)?;
            let (texts, beside) = (space.read_texts(&chunk)?, space.read_beside(&chunk)?);
            let mut first = 0;
            for segment in &chunk.segments {
                let end = first + segment.rows;
                let rows = &rows[first * layout.width..end * layout.width];
                let text = |row: usize, text: usize| {
                    let at = row * layout.width + layout.texts[text];
                    let number = u32::from_le_bytes(bytes_at(rows, at));
                    packed(&texts, number).map(|(_, text)| text)
                };
                let beside = beside.as_ref().map(|batch| batch.slice(first, segment.rows));
                scatter.begin(segment.number, Some(segment.sequence));
                scatter.add(rows, !texts.is_empty(), text, beside.as_ref())?;
                scatter.end()?;
                first = end;
            }
            space.release(chunk);
        }
        scatter.finish()?;
    }
    let mut parts = store.into_parts();
    // What was cut out of a customer stays a part of it.
    if scope == Scope::Keys {
        parts.iter_mut().for_each(|part| part.scope = Scope::Keys);
    }
    Ok(parts)
}
