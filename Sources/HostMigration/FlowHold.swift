internal import CLinuxSockets

/// Flows whose packets are being held, from its making until `end`.
///
/// One at a time: when it ends, every packet that waits is let go, and the forwarding rules alone decide where it goes.
package struct FlowHold: ~Copyable {
    /// What is held.
    package let flows: [Flow]
    private let steering: FlowSteering
    private let start: ContinuousClock.Instant

    /// How long before the kernel lets go of the flows by itself a hold no longer counts, in seconds.
    private static let margin = 5

    /// Whether the kernel is certain at `now` to hold the flows for some seconds more. Nothing may be committed else.
    package func isFresh(at now: ContinuousClock.Instant = .now) -> Bool {
        start.duration(to: now) < .seconds(FlowSteering.holdSeconds - FlowHold.margin)
    }

    /// Holds the flows. `now` is a moment before that.
    package init(
        _ flows: [Flow], with steering: FlowSteering, now: ContinuousClock.Instant = .now
    ) throws(MigrationError) {
        self.flows = flows
        self.steering = steering
        start = now
        try steering.hold(flows)
    }

    /// Forwards `moved` to their new host and gives the other flows back to this one, whose sockets must have left
    /// repair; what was held goes first, in its order. Returns how many packets that were.
    package consuming func end(forwarding moved: [Flow], to host: NextHop) throws(MigrationError) -> Int {
        // Whatever fails, the packets that wait are let go: they are the peers' and not to be lost.
        let steered = Result { () throws(MigrationError) in try steering.steer(moved, to: host) }
        var released = try steering.device.releaseWaiting()
        try steering.release(flows)
        released += try steering.device.releaseWaiting()
        try steered.get()
        return released
    }
}

extension FlowSteering {
    /// Waits until no processor is still handling a packet under rules that have been changed, some milliseconds, and
    /// lets go of what such packets have left on the hold device. A loop that polls `leftover` instead need not wait.
    public func settle() throws(MigrationError) {
        _ = baton_wait_for_packets_in_flight()
        try releaseLeftover()
    }

    /// Readable while packets wait. Without a hold they are some that were handled under rules that have been changed since.
    package var leftover: Int32 { device.pollDescriptor }

    /// Lets go of what waits. Not during a hold.
    package func releaseLeftover() throws(MigrationError) { _ = try device.releaseWaiting() }
}
