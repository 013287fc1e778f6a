//! What is held in memory for all lanes together, and whether there is room for more.

use super::DispatcherLimits;
use crate::lane::{Ready, Room};
use crate::limits;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Memory {
    held: Room,
    /// Kept free for pages that were asked for.
    promised: Room,
}

impl Memory {
    /// Deliveries that are ready or in flight, and the bytes of their bodies.
    pub(super) fn held(&self) -> Room {
        self.held
    }

    pub(super) fn promised(&self) -> Room {
        self.promised
    }

    /// A delivery has entered memory.
    pub(super) fn enter(&mut self, ready: &Ready) {
        self.held.deliveries += 1;
        self.held.bytes += ready.event.bodies.size_bytes();
    }

    /// A delivery has left it.
    pub(super) fn leave(&mut self, ready: &Ready) {
        self.held.deliveries -= 1;
        self.held.bytes -= ready.event.bodies.size_bytes();
    }

    /// A page of at most so much was asked for.
    pub(super) fn promise(&mut self, room: Room) {
        self.promised.deliveries += room.deliveries;
        self.promised.bytes += room.bytes;
    }

    /// The page has come, or will not come.
    pub(super) fn take_back(&mut self, room: Room) {
        self.promised.deliveries -= room.deliveries;
        self.promised.bytes -= room.bytes;
    }

    pub(super) fn has_room(&self, limits: &DispatcherLimits) -> bool {
        let taken = self.taken();
        taken.deliveries < limits.ready_max && taken.bytes < limits.ready_bytes_max
    }

    /// Whether less than half of it is taken.
    pub(super) fn is_half_free(&self, limits: &DispatcherLimits) -> bool {
        let taken = self.taken();
        2 * taken.deliveries < limits.ready_max && 2 * taken.bytes < limits.ready_bytes_max
    }

    /// Room for a page of a lane that has so much left of its own.
    pub(super) fn for_page(&self, lane_room: usize, limits: &DispatcherLimits) -> Option<Room> {
        let taken = self.taken();
        let free = limits.ready_max.saturating_sub(taken.deliveries);
        let free_bytes = limits.ready_bytes_max.saturating_sub(taken.bytes);
        (free > 0 && free_bytes > 0).then(|| Room {
            deliveries: free.min(lane_room),
            bytes: free_bytes.min(limits::LOAD_BYTES_MAX),
        })
    }

    fn taken(&self) -> Room {
        Room {
            deliveries: self.held.deliveries + self.promised.deliveries,
            bytes: self.held.bytes + self.promised.bytes,
        }
    }
}
