//! Queries over a table of a server and over the same table in memory must give the same.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use datafusion::{catalog::TableProvider, execution::context::SessionContext};
use dualrun_sources::{LiveRequest, ServerSession, provider::ServerTable};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngSeed, TestRunner},
};

/// A table of a server, and what it holds in memory.
pub(crate) struct Both {
    session: SessionContext,
}

impl Both {
    pub(crate) async fn open(session: &Arc<ServerSession>, request: &LiveRequest) -> Self {
        let held = session.stream(request).await.unwrap().into_table().await.unwrap();
        let live = ServerTable::open(Arc::clone(session), request.clone()).await.unwrap();
        assert_eq!(live.schema(), held.schema, "the columns");
        let session = SessionContext::new();
        session.register_table("held", held.provider().unwrap()).unwrap();
        session.register_table("live", Arc::new(live)).unwrap();
        Self { session }
    }

    async fn answer(&self, sql: &str) -> Result<String, String> {
        let frame = self.session.sql(sql).await.map_err(|error| error.to_string())?;
        let batches = frame.collect().await.map_err(|error| error.to_string())?;
        // Names of columns hold that of their table.
        Ok(pretty_format_batches(&batches).unwrap().to_string().replace("live.", "held."))
    }

    /// Asserts that a query gives the same over both; `$` stands for the table.
    pub(crate) async fn same(&self, sql: &str) {
        let held = self.answer(&sql.replace('$', "held")).await;
        let live = self.answer(&sql.replace('$', "live")).await;
        assert!(held.is_ok(), "{sql}: {held:?}");
        assert_eq!(live, held, "{sql}\n{}", self.explain(&sql.replace('$', "live")).await);
    }

    /// The plan of a query, with what is sent to the server.
    pub(crate) async fn explain(&self, sql: &str) -> String {
        let sql = format!("EXPLAIN {}", sql.replace('$', "live"));
        let batches = self.session.sql(&sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    /// Asks with many generated filters. `atoms` are conditions, some with `?` for one of the `values`.
    pub(crate) async fn same_for_filters(&self, id: &str, atoms: Vec<String>, cases: usize) {
        let mixtures = mixtures(atoms.clone(), cases);
        // Each alone, then mixtures.
        for atom in &atoms {
            self.same(&format!("SELECT {id} FROM $ WHERE {atom} ORDER BY {id}")).await;
            self.same(&format!("SELECT {id} FROM $ WHERE NOT ({atom}) ORDER BY {id}")).await;
        }
        for filter in mixtures {
            self.same(&format!("SELECT {id} FROM $ WHERE {filter} ORDER BY {id}")).await;
        }
    }
}

fn mixtures(atoms: Vec<String>, cases: usize) -> Vec<String> {
    let config = Config { rng_seed: RngSeed::Fixed(20_250_301), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let filters = filters(atoms);
    (0..cases).map(|_| filters.new_tree(&mut runner).unwrap().current()).collect()
}

fn filters(atoms: Vec<String>) -> impl Strategy<Value = String> {
    let atom = proptest::sample::select(atoms);
    atom.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("NOT ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} OR {b})")),
        ]
    })
}

/// Conditions on a column: each comparison with each value, lists, ranges and nulls.
pub(crate) fn conditions(column: &str, values: &[&str]) -> Vec<String> {
    let mut all = vec![format!("{column} IS NULL"), format!("{column} IS NOT NULL")];
    for value in values {
        for sign in ["=", "<>", "<", "<=", ">", ">="] {
            all.push(format!("{column} {sign} {value}"));
        }
        all.push(format!("{value} < {column}"));
    }
    all.push(format!("{column} IN ({})", values.join(", ")));
    all.push(format!("{column} NOT IN ({})", values.join(", ")));
    if let [first, .., last] = values {
        all.push(format!("{column} BETWEEN {first} AND {last}"));
    }
    all
}
