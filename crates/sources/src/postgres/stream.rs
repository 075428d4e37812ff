//! The rows of a query as Arrow batches, while they arrive.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef, error::ArrowError};
use bytes::Bytes;
use futures::Stream;
use tokio_postgres::{
    CopyOutStream, Row, RowStream,
    types::{FromSql, Type},
};

use super::{
    decode::{Bad, Builder},
    error::{Fault, PostgresError},
    frame::{Fields, Frame},
    options::ReadOptions,
    session::Lease,
    types::{Form, Plan},
};
use crate::{Misfit, SourceError};

/// The rows of a query. At most one batch is held at a time.
///
/// Dropped before its end, it cancels the query on the server and closes the connection.
pub struct PostgresStream {
    plan: Plan,
    label: Arc<str>,
    rows: Rows,
    decoder: Decoder,
    lease: Option<Lease>,
    end: End,
    ended: bool,
}

/// What happens to the connection after the last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is given back.
    Release,
    /// Its transaction is ended, then it is given back.
    Commit,
    /// It is kept for another query.
    Keep,
}

/// How the rows arrive.
pub(super) enum Rows {
    Copy(Pin<Box<CopyOutStream>>, Frame),
    Portal(Pin<Box<RowStream>>),
}

impl PostgresStream {
    pub(super) fn new(
        plan: Plan,
        rows: Rows,
        lease: Lease,
        transaction: bool,
        options: &ReadOptions,
    ) -> Self {
        let decoder = Decoder {
            builders: plan.columns.iter().map(|c| Builder::new(&c.form)).collect(),
            fields: vec![None; plan.columns.len()],
            rows: 0,
            bytes: 0,
            total: 0,
            batch_rows: options.batch_rows.max(1),
            batch_bytes: options.batch_bytes.max(1),
        };
        let label = Arc::clone(lease.label());
        let end = if transaction { End::Commit } else { End::Release };
        Self { plan, label, rows, decoder, lease: Some(lease), end, ended: false }
    }

    /// Leaves connection and transaction open for another query; see [`Self::take_lease`].
    pub(super) fn keeping_its_transaction(mut self) -> Self {
        self.end = End::Keep;
        self
    }

    /// The connection of a stream that was kept, after its end.
    pub(super) fn take_lease(&mut self) -> Option<Lease> {
        if self.ended { self.lease.take() } else { None }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.schema)
    }

    /// How many rows have been read so far.
    pub fn rows_read(&self) -> u64 {
        self.decoder.total
    }

    /// Values so far that no Arrow type of their column holds (an infinite date, for example). They became null.
    pub fn misfits(&self) -> Vec<Misfit> {
        let columns = self.plan.columns.iter().zip(&self.decoder.builders).zip(self.plan.schema.fields());
        columns
            .filter_map(|((column, builder), field)| {
                let (count, found) = builder.misfits()?;
                Some(Misfit {
                    field: column.name.clone(),
                    expected: field.data_type().to_string(),
                    found,
                    count,
                    first_file: self.label.to_string(),
                    first_offset: 0,
                })
            })
            .collect()
    }

    fn finish_batch(&mut self) -> Result<RecordBatch, SourceError> {
        self.decoder.finish(&self.plan.schema).map_err(|(i, _)| {
            let name = i.and_then(|i| self.plan.columns.get(i)).map_or("", |c| c.name.as_str());
            PostgresError::new(&self.label, Fault::Value, format!("column {name:?}: a text is not UTF-8"))
                .with_hint("the database has no encoding (SQL_ASCII); convert the column in the query")
                .into()
        })
    }

    /// Ends what is open on the server in an orderly way.
    fn close(&mut self) {
        self.ended = true;
        if self.end == End::Keep {
            return;
        }
        let Some(mut lease) = self.lease.take() else { return };
        if self.end == End::Release {
            lease.release();
            return;
        }
        // Without a runtime the lease closes the connection, which ends the transaction too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if lease.run("COMMIT").await.is_ok() {
                    lease.release();
                }
            });
        }
    }

    fn bad(&self, column: usize, bad: Bad) -> SourceError {
        bad_value(&self.label, &self.plan, column, bad).into()
    }

    /// Takes in the next piece; true when it was the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, SourceError>> {
        let failed = match &mut self.rows {
            Rows::Copy(stream, frame) => match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(message)) => {
                    let done = self.decoder.copy_message(frame, &message);
                    return Poll::Ready(done.map(|()| false).map_err(|(i, bad)| self.bad(i, bad)));
                }
                Some(Err(error)) => error,
                None if frame.is_complete() => return Poll::Ready(Ok(true)),
                None => {
                    let error = PostgresError::new(&self.label, Fault::Cut, "the rows end in the middle");
                    return Poll::Ready(Err(error.into()));
                }
            },
            Rows::Portal(stream) => match ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(row)) => {
                    let done = self.decoder.row(&row);
                    return Poll::Ready(done.map(|()| false).map_err(|(i, bad)| self.bad(i, bad)));
                }
                Some(Err(error)) => error,
                None => return Poll::Ready(Ok(true)),
            },
        };
        Poll::Ready(Err(super::fault::driver(&self.label, &failed).into()))
    }
}

impl Stream for PostgresStream {
    type Item = Result<RecordBatch, SourceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            match ready!(this.poll_piece(cx)) {
                Ok(false) => {
                    if this.decoder.is_full() {
                        return Poll::Ready(Some(this.finish_batch().inspect_err(|_| this.ended = true)));
                    }
                }
                Ok(true) => {
                    this.close();
                    let rest = (this.decoder.rows > 0).then(|| this.finish_batch());
                    return Poll::Ready(rest);
                }
                Err(error) => {
                    this.ended = true;
                    // The connection is in the middle of something: it is closed, not given back.
                    this.lease = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

fn bad_value(label: &str, plan: &Plan, column: usize, bad: Bad) -> PostgresError {
    let Some(column) = plan.columns.get(column) else {
        return PostgresError::new(label, Fault::Protocol, "the rows are not in the form of COPY BINARY");
    };
    let name = &column.name;
    let (precision, scale) = match element(&column.form) {
        Form::Decimal { precision, scale } => (*precision, *scale),
        _ => (0, 0),
    };
    let value = |what: String| {
        PostgresError::new(label, Fault::Value, format!("column {name:?}: {what}")).with_hint(format!(
            "declare {name:?} as float or text in the shape of the input, or cast it in the query, for example \
             {name}::float8 or {name}::text"
        ))
    };
    match bad {
        Bad::NotFinite => value("a value is NaN or infinite, which a decimal cannot hold".to_owned()),
        Bad::TooLarge => value(format!("a value is too large for decimal({precision},{scale})")),
        Bad::TooManyDigits => value(format!("a value has more than {scale} digits after the point")),
        Bad::Dimensions => {
            PostgresError::new(label, Fault::Value, format!("column {name:?}: an array of arrays"))
                .with_hint(format!("cast it in a query or a view on the server, for example {name}::text"))
        }
        Bad::Malformed => PostgresError::new(
            label,
            Fault::Protocol,
            format!("column {name:?}: the bytes are not in the form of its type"),
        ),
    }
}

fn element(form: &Form) -> &Form {
    match form {
        Form::List(of) => element(of),
        other => other,
    }
}

/// Builds batches out of fields.
struct Decoder {
    builders: Vec<Builder>,
    fields: Fields,
    rows: usize,
    bytes: usize,
    total: u64,
    batch_rows: usize,
    batch_bytes: usize,
}

/// The column of a bad field.
type At = (usize, Bad);

/// A frame that is wrong belongs to no column.
const NO_COLUMN: usize = usize::MAX;

struct InFrame(At);

impl From<Bad> for InFrame {
    fn from(bad: Bad) -> Self {
        Self((NO_COLUMN, bad))
    }
}

impl Decoder {
    fn copy_message(&mut self, frame: &mut Frame, message: &Bytes) -> Result<(), At> {
        let Self { builders, fields, rows, bytes, total, .. } = self;
        frame
            .message::<InFrame>(message, fields, |message, fields| {
                for (i, (builder, field)) in builders.iter_mut().zip(fields).enumerate() {
                    let field = field.as_ref().map(|f| &message[f.start..f.end]);
                    *bytes += field.map_or(0, <[u8]>::len);
                    builder.append(field).map_err(|bad| InFrame((i, bad)))?;
                }
                *rows += 1;
                *total += 1;
                Ok(())
            })
            .map_err(|InFrame(at)| at)
    }

    fn row(&mut self, row: &Row) -> Result<(), At> {
        for (i, builder) in self.builders.iter_mut().enumerate() {
            let field =
                row.try_get::<_, Option<Raw<'_>>>(i).map_err(|_| (i, Bad::Malformed))?.map(|raw| raw.0);
            self.bytes += field.map_or(0, <[u8]>::len);
            builder.append(field).map_err(|bad| (i, bad))?;
        }
        self.rows += 1;
        self.total += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= self.batch_rows || self.bytes >= self.batch_bytes
    }

    /// The error names the column where it is one of a column.
    fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, (Option<usize>, ArrowError)> {
        (self.rows, self.bytes) = (0, 0);
        let mut arrays = Vec::with_capacity(self.builders.len());
        for (i, builder) in self.builders.iter_mut().enumerate() {
            arrays.push(builder.finish().map_err(|e| (Some(i), e))?);
        }
        RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|e| (None, e))
    }
}

/// The bytes of a field as they came.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
