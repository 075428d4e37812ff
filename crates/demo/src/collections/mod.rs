//! The collections of the reference project, one file each.

use crate::world::Collection;

/// Every collection that the demo lays out.
pub fn all() -> &'static [&'static dyn Collection] {
    &[
        &assets::Assets,
        &cloud_usage_aws::CloudUsageAws,
        &cloud_usage_gcp::CloudUsageGcp,
        &customers::Customers,
        &dc_sites::DcSites,
        &energy_invoices::EnergyInvoices,
        &focus_lines::FocusLines,
        &power_readings::PowerReadings,
        &spend_lines::SpendLines,
        &telecom_invoices::TelecomInvoices,
        &web_stats::WebStats,
    ]
}

pub mod focus_lines;
pub mod spend_lines;
pub mod web_stats;

pub mod assets;
mod forms;
pub mod telecom_invoices;

pub mod cloud_usage_aws;
pub mod cloud_usage_gcp;
pub mod customers;
pub mod dc_sites;
pub mod energy_invoices;
mod numbers;
pub mod power_readings;
