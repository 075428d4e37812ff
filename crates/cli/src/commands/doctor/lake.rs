//! The tables that loads write: may whoever runs this list, create, read and delete there, and does the store keep two
//! writers apart?

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use dualrun_core::{
    ExitCode,
    doctor::{Check, Examined},
    input::Side,
    load::Layout,
};
use dualrun_mapping::plan::Project;
use dualrun_sources::{Location, open_location, standing};
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path as Key,
};
use uuid::Uuid;

use super::{own, refused};

const CONTENT: &[u8] = b"dualrun doctor: this object may be deleted";

/// All tables that loads write, each with what may be done there.
pub(super) async fn tables(project: &Project, root: &Path) -> Vec<Examined> {
    let mut examined = Vec::new();
    for (source, folder) in written(project) {
        let Some(settings) = project.settings.source.get(&source) else { continue };
        let name = format!("table {source}:{folder}");
        let location = match open_location(&settings.url, root, &settings.options) {
            Ok(location) => location.below(&folder),
            Err(error) => {
                let check = refused("settings", &error);
                examined.push(Examined {
                    name,
                    kind: "table".into(),
                    place: String::new(),
                    checks: vec![check],
                });
                continue;
            }
        };
        let remote = location.display.contains("://");
        let checks = if remote { bucket(&location).await } else { local(&location).await };
        let kind = if remote { "table in an object store" } else { "table in a folder" };
        examined.push(Examined { name, kind: kind.into(), place: location.display.clone(), checks });
    }
    examined
}

/// The source and folder of each table, in order.
fn written(project: &Project) -> BTreeSet<(String, String)> {
    let mut tables = BTreeSet::new();
    for pipeline in &project.pipelines {
        for input in &pipeline.inputs {
            if let (Some(_), Some(place)) = (&input.load, &input.new) {
                tables.extend(Layout::of(place.place()).map(|layout| (place.source.clone(), layout.root)));
            }
        }
        let Some(store) = &pipeline.new.store else { continue };
        for model in pipeline.new.models() {
            let layout = Layout::of(&store.path.replace("{model}", &model.name));
            tables.extend(layout.map(|layout| (store.source.clone(), layout.root)));
        }
    }
    tables
}

/// Whether all that is read of a source is what loads write there, so that nothing is there before the first one.
pub(super) fn fills(project: &Project, source: &str) -> bool {
    let inputs = project.pipelines.iter().flat_map(|pipeline| &pipeline.inputs);
    let mut read = inputs.flat_map(|input| Side::BOTH.map(|side| (input, side))).filter(|(input, side)| {
        let place = input.on(*side).filter(|place| place.source == source);
        place.is_some() && !(*side == Side::New && input.load.is_some())
    });
    read.next().is_none() && written(project).iter().any(|(written, _)| written == source)
}

/// What to grant, by what was tried.
fn grant(action: &str, right: &str, table: &Location) -> String {
    match table.display.contains("://") {
        true => format!("let the credentials of the source {action} below {} ({right})", table.display),
        false => format!("let this process {action} files and folders below {}", table.display),
    }
}

fn failed(name: &str, table: &Location, error: Error, advice: String) -> Check {
    let found = dualrun_core::chain(&error);
    let fault = standing(&error);
    // Listing and deleting hand on what the server said, and make no kind of it.
    let denied = ["403 Forbidden", "AccessDenied"].iter().any(|word| found.contains(word));
    let refused = denied || matches!(error, Error::PermissionDenied { .. });
    let advice = match error {
        _ if fault.is_some() => fault.unwrap_or_default().to_owned(),
        Error::Unauthenticated { .. } => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role".to_owned()
        }
        _ if !refused && table.display.contains("://") => {
            "the store may be down or out of reach; a retry may help".to_owned()
        }
        _ => advice,
    };
    Check::error(name, found, Some(advice), ExitCode::Infrastructure)
}

/// An object store: the rights, uploads in parts, and what a killed load may leave.
async fn bucket(table: &Location) -> Vec<Check> {
    let mut checks = probe(table).await;
    if checks.iter().all(|check| check.name != "create" || check.advice.is_none()) {
        checks.push(parts(table).await);
    }
    let found = "whether the bucket ends uploads that were never completed is not asked";
    checks.push(Check::unknown("incomplete uploads", found).advised(
        "give the bucket a lifecycle rule that aborts incomplete multipart uploads after a day: a load that is killed \
         leaves its parts",
    ));
    checks
}

/// A folder: the rights, and room. Folders that the probe made go again.
async fn local(table: &Location) -> Vec<Check> {
    let folder = Path::new(&table.display);
    let probed = folder.join("_dualrun");
    let missing: Vec<PathBuf> =
        probed.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
    let mut checks = probe(table).await;
    // The deepest first; one in which somebody has put something meanwhile stays.
    missing.iter().for_each(|made| drop(std::fs::remove_dir(made)));
    checks.push(own::room(folder, own::ENOUGH));
    checks
}

/// Creates an object of its own, reads it, tries to create it again where that must be refused, and takes it away.
async fn probe(table: &Location) -> Vec<Check> {
    let key = table.object(&format!("_dualrun/doctor-{}", Uuid::now_v7()));
    let mut checks = vec![match table.store.list_with_delimiter(Some(&table.prefix)).await {
        Ok(_) | Err(Error::NotFound { .. }) => Check::ok("list", "yes"),
        Err(error) => failed("list", table, error, grant("list", "s3:ListBucket", table)),
    }];
    match create(table, &key).await {
        Ok(()) => checks.push(Check::ok("create", "yes")),
        Err(error @ (Error::NotImplemented { .. } | Error::NotSupported { .. })) => {
            let advice = "use a store that knows `If-None-Match`: without it two loads overwrite each other";
            checks.push(failed("create", table, error, advice.to_owned()).advised(advice));
            return checks;
        }
        Err(error) => {
            checks.push(failed("create", table, error, grant("write", "s3:PutObject", table)));
            checks.push(Check::unknown("read, delete", "not tried, because nothing could be written"));
            // Where only the answer was lost, it stands there all the same.
            let _ = table.store.delete(&key).await;
            return checks;
        }
    }
    checks.push(match read(table, &key).await {
        Ok(true) => Check::ok("read", "yes, what was written"),
        Ok(false) => Check::error(
            "read",
            "another content than was written comes back",
            Some("is a cache between this machine and the store?".to_owned()),
            ExitCode::Infrastructure,
        ),
        Err(error) => failed("read", table, error, grant("read", "s3:GetObject", table)),
    });
    checks.push(match create(table, &key).await {
        Err(Error::AlreadyExists { .. }) => {
            Check::ok("conditional writes", "honoured: two loads cannot overwrite each other")
        }
        Ok(()) => Check::warning(
            "conditional writes",
            "the store overwrites where it must refuse (`If-None-Match: *`)",
            "never let two jobs load this table at the same time, or use a store that honours the condition",
        ),
        Err(error) => Check::unknown("conditional writes", format!("could not be tried: {error}")),
    });
    let deleted = match table.store.delete(&key).await {
        Ok(()) => table.store.head(&key).await.err(),
        Err(error) => Some(error),
    };
    checks.push(match deleted {
        Some(Error::NotFound { .. }) => Check::ok("delete", "yes"),
        None => Check::error(
            "delete",
            format!("{key} is still there after it was deleted"),
            Some("turn off what keeps deleted objects in sight below this folder".to_owned()),
            ExitCode::Infrastructure,
        ),
        Some(error) => {
            let advice = format!("{}, and delete {key}", grant("delete", "s3:DeleteObject", table));
            failed("delete", table, error, advice)
        }
    });
    checks
}

/// Begins an upload in parts, as large objects need it, and takes it back.
async fn parts(table: &Location) -> Check {
    let key = table.object(&format!("_dualrun/doctor-{}", Uuid::now_v7()));
    let advice = || {
        let right = "s3:PutObject, s3:AbortMultipartUpload";
        grant("begin and abort uploads in parts", right, table)
    };
    match table.store.put_multipart(&key).await {
        Err(error) => failed("uploads in parts", table, error, advice()),
        Ok(mut upload) => match upload.abort().await {
            Ok(()) => Check::ok("uploads in parts", "can be begun and taken back"),
            Err(error) => failed("uploads in parts", table, error, advice()),
        },
    }
}

async fn create(table: &Location, key: &Key) -> Result<(), Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    table.store.put_opts(key, PutPayload::from_static(CONTENT), options).await.map(|_| ())
}

async fn read(table: &Location, key: &Key) -> Result<bool, Error> {
    Ok(table.store.get(key).await?.bytes().await? == CONTENT)
}
