internal import BatonConfiguration
internal import Handoff

/// What a front leaves to another: to its successor, or to one that takes its place when it has died. Used on the front's loop
/// only.
struct Legacy {
    let control: ControlSocket
    let listening: Listening
    let policy: CurrentPolicy
    let workers: WorkerPool
    let migration: MigrationProcesses
    let figures: Figures
    let recorder: Recorder

    /// For a successor.
    ///
    /// - Parameter isService: whether it is another service, which has its own privileged process or none.
    func parcel(isService: Bool) throws -> Parcel {
        let link = isService ? nil : migration.sharePrivileges()
        return try inheritance(past: figures.totals, hasPrivileges: link != nil)
            .parcel(control: control, sockets: listening.sockets.map(\.descriptor), privileges: link)
    }

    /// What the keeper is to have copies of.
    var descriptors: [CInt] {
        [control.descriptor, control.lock.descriptor] + listening.sockets.map(\.descriptor)
            + [migration.privilegeDescriptor].compactMap { $0 }
    }

    /// What they are.
    ///
    /// - Parameter file: the text of the configuration.
    func state(file: String?, acceptsNoMore: Bool) -> FrontState {
        FrontState(
            inheritance: inheritance(past: figures.gone, hasPrivileges: migration.privilegeDescriptor != nil),
            file: file, acceptsNoMore: acceptsNoMore)
    }

    private func inheritance(past: WorkerReport, hasPrivileges: Bool) -> Inheritance {
        Inheritance(
            listeners: Inheritance.describe(listening.sockets),
            ticketKeys: policy.ticketKeys.serialised, ticketKeysCreatedAt: policy.ticketKeys.createdAt, past: past,
            lastWorkerNumber: workers.lastNumber, counts: figures.counts, workersAsked: workers.asked,
            version: BatonVersion.current, networkArguments: hasPrivileges ? migration.networkArguments : nil,
            history: recorder.history)
    }
}
