import NIOCore

/// Where devices and operators are known to each other. Used on one event loop alone.
///
/// Another process may change the mailboxes too, while one replaces the other. So what a session waits for is looked up in the
/// store now and then, beside what is told here at once.
final class Desk {
    private static let period = TimeAmount.milliseconds(500)
    /// How often a device may come: a crowd of triggers, or a device that has gone wild, must not become a crowd of changes to the
    /// store. Its handshakes are made by then.
    private static let visits = (burst: 10, interval: TimeAmount.seconds(5))

    let store: Store
    private let eventLoop: any EventLoop
    private let triggers: Triggers
    private var devices: [String: DeviceSession] = [:]
    private var operators: [ObjectIdentifier: OperatorSession] = [:]
    private var limits: [String: RateLimit] = [:]
    /// Devices that are not here and have commands.
    private var awaited: Set<String> = []

    init(_ eventLoop: any EventLoop, _ store: Store, _ triggers: Triggers) {
        self.eventLoop = eventLoop
        self.store = store
        self.triggers = triggers
        awaited = Set(store.devices)
    }

    func start() {
        eventLoop.assumeIsolated().scheduleTask(in: Self.period) { [self] in
            for session in devices.values { session.tick() }
            for session in operators.values { session.tick() }
            for device in awaited { trigger(device) }
            start()
        }
    }

    // MARK: Devices

    /// A device has come, and the connection that it had before is not needed any more.
    func enter(_ session: DeviceSession, as device: String) {
        let before = devices.updateValue(session, forKey: device)
        if before !== session { before?.replace() }
        awaited.remove(device)
        triggers.came(device)
    }

    func leave(_ session: DeviceSession, _ device: String) {
        guard devices[device] === session else { return }
        devices[device] = nil
        awaited.insert(device)
    }

    /// Whether the device may come now.
    func mayCome(_ device: String) -> Bool {
        limits[device, default: RateLimit(burst: Self.visits.burst, interval: Self.visits.interval)].take()
    }

    /// The device has done these.
    func acknowledged(_ device: String, _ results: [Mailbox.Result]) {
        for result in results {
            for session in operators.values { session.tell(device, result) }
        }
    }

    // MARK: Operators

    func enter(_ session: OperatorSession) { operators[ObjectIdentifier(session)] = session }

    func leave(_ session: OperatorSession) { operators[ObjectIdentifier(session)] = nil }

    /// A command has been added: the device is told, or triggered.
    func wake(_ device: String) {
        if let session = devices[device] { return session.tick() }
        awaited.insert(device)
        trigger(device)
    }

    func isHere(_ device: String) -> Bool { devices[device] != nil }

    private func trigger(_ device: String) {
        guard let mailbox = try? store.mailbox(device), !mailbox.pending.isEmpty, let address = mailbox.triggerAddress
        else { return }
        triggers.send(device, to: address)
    }
}
