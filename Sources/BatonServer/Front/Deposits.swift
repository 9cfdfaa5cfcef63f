internal import Foundation

/// What this front leaves with the keeper, for one that takes its place if it dies. Used on the front's loop only.
final class Deposits: @unchecked Sendable {
    /// Of what a front has counted, what the keeper is told now and then.
    struct Counts: Equatable {
        var front: FrontCounts
        var gone: WorkerReport
        var lastWorkerNumber: Int
        var asked: Int?
        /// How far the history has come, in steps of half a minute.
        var history = 0
    }

    private let keeper: KeeperLink
    private let descriptors: () -> [CInt]
    private let state: () -> FrontState
    private var counts: Counts?

    /// - Parameters:
    ///   - descriptors: what the next front needs, in the order of `Inheritance`.
    ///   - state: what they are.
    init(_ keeper: KeeperLink, descriptors: @escaping () -> [CInt], state: @escaping () -> FrontState) {
        self.keeper = keeper
        self.descriptors = descriptors
        self.state = state
    }

    /// Leaves the descriptors, and what they are.
    func deposit() { leave(descriptors()) }

    /// As `deposit`, before sockets are closed that are not among the server's any more: the keeper has none of them then.
    func depositAndSettle() {
        deposit()
        keeper.settle()
    }

    /// As `deposit`, when the descriptors are those that the keeper has.
    func depositState() { leave(nil) }

    /// As `depositState`, if these are others than the last. What has been counted since is lost with this front.
    func deposit(_ counts: Counts) {
        guard counts != self.counts else { return }
        self.counts = counts
        depositState()
    }

    private func leave(_ descriptors: [CInt]?) {
        guard var bytes = try? JSONEncoder().encode(state()) else { return }
        defer { bytes.resetBytes(in: 0..<bytes.count) }
        bytes.withUnsafeBytes { keeper.deposit(descriptors, $0) }
    }
}
