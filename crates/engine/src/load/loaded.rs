//! Copies that are read before anything was loaded.

use dualrun_core::input::Side;
use dualrun_mapping::plan::Pipeline;

use super::target::targets;
use crate::{context::Context, error::EngineError, inputs::Tables};

/// Refuses to read a copy that is not there yet as one without rows, where the legacy side has some or is not looked at.
///
/// # Errors
/// [`EngineError::NotLoaded`], or a store that is away.
pub(crate) async fn all_loaded(
    context: &Context,
    pipeline: &Pipeline,
    legacy: Option<&Tables>,
    new: &Tables,
) -> Result<(), EngineError> {
    for target in targets(context, &[pipeline])? {
        let input = &target.input.name;
        let expected = legacy.is_none_or(|side| side.get(input).is_some_and(|table| table.report.rows > 0));
        let found = new.get(input).is_none_or(|table| !table.report.files.is_empty());
        if found || !expected {
            continue;
        }
        let failed = |source| EngineError::Input { input: input.clone(), side: Side::New, source };
        let place = context.inputs.location(target.to_source).map_err(failed)?.below(&target.layout.root);
        if place.list(&place.prefix).await.map_err(failed)?.is_empty() {
            return Err(EngineError::NotLoaded { table: target.name });
        }
    }
    Ok(())
}
