internal import CSessionArena

/// The process's heap.
package enum Heap {
    /// Gives whole free pages back to the system.
    package static func trim() { process_trim_heap() }
}
