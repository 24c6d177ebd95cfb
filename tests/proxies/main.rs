//! Feeds through nginx with its default settings, and in Chromium.

mod browser;
mod cut_off;
mod latency;
mod outages;
mod prefix;
mod report;
mod stand;
mod subscriber;
mod topics;
