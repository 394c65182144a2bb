//! What only SQLite has: files, locks, versions, damage, full disks, crashes.

mod crash;
mod damage;
mod disk_full;
mod open;
