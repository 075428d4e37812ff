//! `dualrun.toml`: layering of environments, `${VAR}`, and checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path as FilePath,
};

use crate::{
    DEFAULT_ENVIRONMENT,
    diagnostic::Diagnostic,
    document::Document,
    schema,
    server::Tls,
    settings::{Settings, SourceKind, SourceSettings},
    text::did_you_mean,
    tree::{Node, Path, Value, at},
};

/// What the settings file says, also where it has mistakes.
pub(crate) struct SettingsRead {
    pub(crate) settings: Option<Settings>,
    /// The folder of the mappings; "." where it is not known.
    pub(crate) mappings: String,
    /// Names of the sources; `None` where the file cannot be read at all.
    pub(crate) sources: Option<BTreeSet<String>>,
    /// The kind of each source, as it is written.
    pub(crate) kinds: BTreeMap<String, String>,
    /// Servers that cannot be reached, because a variable of their URL is not set: that variable. The settings do not
    /// hold them.
    pub(crate) unset: BTreeMap<String, String>,
    /// Ids of the declared legacy assets; `None` where the file cannot be read at all.
    pub(crate) assets: Option<BTreeSet<String>>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads the settings of an environment.
pub(crate) fn read(
    file: &FilePath,
    source: &str,
    environment: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> SettingsRead {
    let mut document = match Document::parse(file, source) {
        Ok(document) => document,
        Err(diagnostics) => {
            return SettingsRead {
                settings: None,
                mappings: ".".to_owned(),
                sources: None,
                kinds: BTreeMap::new(),
                unset: BTreeMap::new(),
                assets: None,
                diagnostics,
            };
        }
    };
    // The layers of all environments are checked, the chosen one is used.
    let whole = document.read::<serde_json::Value>(&schema::settings_file(), &[]);
    let whole_errors = document.diagnostics.iter().any(Diagnostic::is_error);
    layer(&mut document, environment);
    let sources: BTreeSet<String> = document
        .tree
        .get("source")
        .and_then(Node::table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default();
    let unset = take_unset_servers(&mut document, env);
    let settings = if whole_errors {
        // The file as a whole told; merged it would tell the same again.
        None
    } else {
        substitute(&mut document, env);
        let told = document.diagnostics.len();
        let settings = document.read::<Settings>(&schema::settings(), &[]);
        if let Some(settings) = &settings {
            check(&mut document, settings);
        }
        let failed = document.diagnostics.iter().skip(told).any(Diagnostic::is_error);
        settings.filter(|_| whole.is_some() && !failed)
    };
    let tree = &document.tree;
    let mappings = tree.get("project").and_then(|p| p.get("mappings")).and_then(Node::text).unwrap_or(".");
    let declared = tree.get("source").and_then(Node::table);
    let kind = |node: &Node| node.get("kind").and_then(Node::text).map(str::to_owned);
    let kinds =
        declared.into_iter().flatten().filter_map(|(n, e)| Some((n.clone(), kind(&e.node)?))).collect();
    let ids = |n: &Node| n.get("id").and_then(Node::text).map(str::to_owned);
    let assets = tree.get("asset").map(Node::list).unwrap_or_default().iter().filter_map(ids).collect();
    SettingsRead {
        settings,
        mappings: mappings.to_owned(),
        sources: Some(sources),
        kinds,
        unset,
        assets: Some(assets),
        diagnostics: document.diagnostics,
    }
}

/// Lays `[env.<name>]` over the rest and takes `env` out.
fn layer(document: &mut Document<'_>, environment: &str) {
    let layers = match &mut document.tree.value {
        Value::Table(table) => table.remove("env"),
        _ => None,
    };
    let Some(layers) = layers else {
        if environment != DEFAULT_ENVIRONMENT {
            let message = format!("there is no environment `{environment}`");
            document.diagnostics.push(
                Diagnostic::new(crate::Severity::Error, "unknown-environment", document.file, message)
                    .hint(format!("declare it as `[env.{environment}]`, or leave --env away")),
            );
        }
        return;
    };
    match layers.node.get(environment) {
        Some(chosen) => document.tree.overlay(chosen),
        None if environment == DEFAULT_ENVIRONMENT => {}
        None => {
            let known: Vec<&str> =
                layers.node.table().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let hint = did_you_mean(environment, known.iter().copied());
            let message = format!("there is no environment `{environment}`");
            document.diagnostics.push(
                Diagnostic::new(crate::Severity::Error, "unknown-environment", document.file, message)
                    .at(document.source, layers.key.clone())
                    .label("environments are declared here")
                    .maybe_hint(hint),
            );
        }
    }
}

/// Takes out the servers whose URL holds a variable that is not set: whether anything needs them, the mappings say.
fn take_unset_servers(
    document: &mut Document<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let mut unset = BTreeMap::new();
    let Value::Table(root) = &mut document.tree.value else { return unset };
    let Some(Value::Table(sources)) = root.get_mut("source").map(|entry| &mut entry.node.value) else {
        return unset;
    };
    sources.retain(|name, entry| {
        let text = |key: &str| entry.node.get(key).and_then(Node::text);
        let is_server = text("kind").is_some_and(|kind| ["postgres", "mongodb"].contains(&kind));
        let names = text("url").into_iter().flat_map(|url| url.split("${").skip(1));
        let missing = names
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .find(|name| env(name).is_none());
        match missing.filter(|_| is_server) {
            Some(variable) => {
                unset.insert(name.clone(), variable.to_owned());
                false
            }
            None => true,
        }
    });
    unset
}

/// Replaces `${VAR}` in every text of the merged tree.
fn substitute(document: &mut Document<'_>, env: &dyn Fn(&str) -> Option<String>) {
    let mut unknown = Vec::new();
    replace(&mut document.tree, env, &mut unknown, &Path::default());
    for (path, name) in unknown {
        let (message, hint) = match name {
            Some(name) => {
                (format!("the variable `{name}` is not set"), "set it in the environment of the process")
            }
            None => ("`${` has no end".to_owned(), "write `${NAME}`"),
        };
        let hint = Some(hint.to_owned());
        document.error("unknown-variable", &path, message, "needed here", hint);
    }
}

fn replace(
    node: &mut Node,
    env: &dyn Fn(&str) -> Option<String>,
    unknown: &mut Vec<(Path, Option<String>)>,
    path: &Path,
) {
    match &mut node.value {
        Value::Text { text, written } if text.contains("${") => {
            let raw = text.clone();
            let mut out = String::new();
            let mut rest = raw.as_str();
            while let Some((before, after)) = rest.split_once("${") {
                out.push_str(before);
                let Some((name, tail)) = after.split_once('}') else {
                    unknown.push((path.clone(), None));
                    rest = "";
                    break;
                };
                match env(name) {
                    Some(value) => out.push_str(&value),
                    None => unknown.push((path.clone(), Some(name.to_owned()))),
                }
                rest = tail;
            }
            out.push_str(rest);
            *text = out;
            *written = Some(raw);
        }
        Value::List(list) => {
            for (i, node) in list.iter_mut().enumerate() {
                replace(node, env, unknown, &path.join(i));
            }
        }
        Value::Table(table) => {
            for (key, entry) in table.iter_mut() {
                replace(&mut entry.node, env, unknown, &path.join(key));
            }
        }
        _ => {}
    }
}

fn check(document: &mut Document<'_>, settings: &Settings) {
    if !settings.state.url.starts_with("sqlite:") {
        let hint = Some("supported: `sqlite:<file>`".to_owned());
        document.error(
            "unsupported-store",
            &at!["state", "url"],
            "this state database is not supported",
            "here",
            hint,
        );
    }
    for (name, source) in &settings.source {
        check_source(document, name, source);
    }
    let mut seen = BTreeSet::new();
    for (i, phase) in settings.phases.iter().enumerate() {
        if phase.start > phase.end {
            let message = format!("phase {} ends before it starts", phase.number);
            document.error(
                "invalid-range",
                &at!["phase", i, "end"],
                message,
                "before `start`",
                Some("swap `start` and `end`".to_owned()),
            );
        }
        if !seen.insert(u8::from(phase.number)) {
            let message = format!("phase {} is declared twice", phase.number);
            document.error(
                "duplicate-id",
                &at!["phase", i, "number"],
                message,
                "again here",
                Some("take one of them out".to_owned()),
            );
        }
    }
    let mut seen = BTreeSet::new();
    for (i, asset) in settings.assets.iter().enumerate() {
        if !seen.insert(asset.id.as_str()) {
            let message = format!("the asset `{}` is declared twice", asset.id);
            document.error(
                "duplicate-id",
                &at!["asset", i, "id"],
                message,
                "again here",
                Some("take one of them out".to_owned()),
            );
        }
    }
}

/// A server has an URL of its kind; what spares a server belongs to a server only.
fn check_source(document: &mut Document<'_>, name: &str, source: &SourceSettings) {
    let at = at!["source", name];
    let (schemes, form): (&[&str], &str) = match source.kind {
        SourceKind::Postgres => {
            (&["postgres", "postgresql"], "postgres://user:${PASSWORD}@host:5432/database")
        }
        SourceKind::Mongodb => {
            (&["mongodb", "mongodb+srv"], "mongodb://user:${PASSWORD}@host:27017/database")
        }
        _ => (&[], "a folder, or `s3://bucket/prefix`"),
    };
    let scheme = source.url.split_once("://").map(|(scheme, _)| scheme);
    let of_a_server = ["postgres", "postgresql", "mongodb", "mongodb+srv"];
    let fits = if source.kind.is_server() {
        scheme.is_some_and(|scheme| schemes.contains(&scheme))
    } else {
        scheme.is_none_or(|scheme| !of_a_server.contains(&scheme))
    };
    if !fits {
        // Not at the URL itself, which may hold a password.
        let hint = Some(format!("write `url` as {form}"));
        document.error(
            "unfit-url",
            &at.join("kind"),
            "the URL is not one of the kind of its source",
            "of this kind",
            hint,
        );
    }
    let of_servers = [
        ("tls", source.tls.is_some()),
        ("ca_file", source.ca_file.is_some()),
        ("password_file", source.password_file.is_some()),
        ("max_connections", source.max_connections.is_some()),
        ("max_rows_per_second", source.max_rows_per_second.is_some()),
        ("query_time", source.query_time.is_some()),
        ("chunk_time", source.chunk_time.is_some()),
        ("max_lag", source.max_lag.is_some()),
        ("lag_wait", source.lag_wait.is_some()),
        ("lock_time", source.lock_time.is_some()),
        ("idle_time", source.idle_time.is_some()),
    ];
    for (key, _) in of_servers.into_iter().filter(|(_, given)| *given && !source.kind.is_server()) {
        let message = format!("`{key}` is of sources that are servers");
        let hint = Some("take it out, or choose the kind `postgres` or `mongodb`".to_owned());
        document.error("unused-key", &at.join(key), message, "no meaning here", hint);
    }
    if source.kind != SourceKind::Mongodb && source.read_preference.is_some() {
        let hint = Some("take it out; name a replica of PostgreSQL in the URL".to_owned());
        let message = "`read_preference` is of MongoDB only";
        document.error("unused-key", &at.join("read_preference"), message, "no meaning here", hint);
    }
    let of_postgres = [("lock_time", source.lock_time.is_some()), ("idle_time", source.idle_time.is_some())];
    for (key, _) in of_postgres.into_iter().filter(|(_, given)| *given && source.kind == SourceKind::Mongodb)
    {
        let message = format!("`{key}` is of PostgreSQL only");
        let hint = Some("take it out: MongoDB has no such limit for a connection".to_owned());
        document.error("unused-key", &at.join(key), message, "no meaning here", hint);
    }
    if let (Some(chunk), Some(query)) = (source.chunk_time, source.query_time)
        && chunk.0 > query.0
    {
        let message = "a query should take longer than it may";
        let hint = Some("make `chunk_time` shorter than `query_time`".to_owned());
        document.error("invalid-range", &at.join("chunk_time"), message, "longer than `query_time`", hint);
    }
    if source.kind == SourceKind::Mongodb && source.tls == Some(Tls::VerifyCa) {
        let hint = Some("choose `verify_full`".to_owned());
        let message = "the driver of MongoDB looks at the name in a certificate too";
        document.error("unfit-tls", &at.join("tls"), message, "here", hint);
    }
}
