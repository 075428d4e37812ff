//! What a replay asks of the plan: values of switches, and which models a parameter reaches.

use std::collections::{BTreeMap, BTreeSet};

use dualrun_core::{
    ChangeId,
    input::{InputDecl, Side},
    parameter::ParameterValue,
};

use crate::{
    calculation::placeholders,
    plan::{Calculation, Change, Engine, Pipeline},
};

impl Pipeline {
    /// The value of every parameter that these changes switch on a side: the new one where `on` says so, the
    /// legacy one elsewhere.
    pub fn switch_values(
        &self,
        changes: &[&Change],
        on: &dyn Fn(&ChangeId) -> bool,
        side: Side,
    ) -> BTreeMap<String, ParameterValue> {
        let mut values = BTreeMap::new();
        for change in changes {
            for switch in change.switches_of(&self.id).filter(|s| s.side == side) {
                let value = if on(&change.id) { &switch.new } else { &switch.legacy };
                values.insert(switch.parameter.clone(), value.clone());
            }
        }
        values
    }

    /// The parameters that the rows of a model depend on: its own, those of the models that it reads, and those
    /// that stand in the place of an input that any of them reads.
    pub fn parameters_reaching(&self, side: Side, model: &str) -> BTreeSet<String> {
        let calculation = self.calculation(side);
        let mut found = calculation.parameters_reaching(model);
        let tables: Vec<&str> =
            calculation.upstream(model).iter().flat_map(|m| &m.reads).map(String::as_str).collect();
        for input in self.inputs.iter().filter(|i| tables.contains(&i.name.as_str())) {
            found.extend(parameters_of_place(input, side));
        }
        found
    }
}

impl Calculation {
    /// The parameters of a model and of all models that it reads, directly or not. Empty for an unknown model.
    /// Parameters in the place of an input are not among them: see [`Pipeline::parameters_reaching`].
    pub fn parameters_reaching(&self, model: &str) -> BTreeSet<String> {
        self.upstream(model).iter().flat_map(|m| m.parameters.iter().cloned()).collect()
    }

    /// Whether the value of a declared parameter can change the result.
    pub fn depends_on(&self, parameter: &str) -> bool {
        match &self.engine {
            Engine::Sql(models) => {
                models.last().is_some_and(|last| self.parameters_reaching(&last.name).contains(parameter))
            }
            // A command is given all of them, and which it reads is its own affair.
            Engine::Command(_) => true,
            Engine::Relation(relation) => placeholders(relation.place.place()).iter().any(|p| p == parameter),
            Engine::Postgres(query) => query.parameters.iter().any(|p| p == parameter),
            Engine::Mongodb(pipeline) => pipeline.parameters.iter().any(|p| p == parameter),
        }
    }

    /// The model and all models that it reads, directly or not.
    fn upstream(&self, model: &str) -> Vec<&crate::plan::Model> {
        let mut wanted = BTreeSet::from([model]);
        let mut found = Vec::new();
        // A model stands behind all that it reads.
        for candidate in self.models().iter().rev() {
            if wanted.contains(candidate.name.as_str()) {
                wanted.extend(candidate.reads.iter().map(String::as_str));
                found.push(candidate);
            }
        }
        found
    }
}

/// The names in braces of an input's place, without the days and months of the period.
pub(crate) fn parameters_of_place(input: &InputDecl, side: Side) -> Vec<String> {
    input.on(side).map(|place| placeholders(place.place())).unwrap_or_default()
}
