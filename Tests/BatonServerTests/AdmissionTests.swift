import BatonConfiguration
import BatonCore
import Synchronization
import Testing

@testable import BatonServer

@Suite("Who may come in")
struct AdmissionTests {
    private let source = IPAddress("192.0.2.1")!
    private let other = IPAddress("198.51.100.1")!

    private func admission(total: Int, perSource: Int? = nil) -> Admission {
        var limits = Limits()
        limits.connections = total
        limits.connectionsPerSource = perSource
        return Admission(limits)
    }

    @Test("who is refused is not here, and what has found its owner counts against the limits until it is released")
    func counts() throws {
        let admission = admission(total: 2)
        try admission.admit(from: source)
        try admission.admit(from: nil)
        #expect(throws: ConnectionLimits.Refusal.total) { try admission.admit(from: other) }
        #expect(admission.present == 2)
        admission.dismiss(2)
        #expect(admission.present == 0)
        #expect(throws: ConnectionLimits.Refusal.total) { try admission.admit(from: other) }
        admission.release(from: [source, nil])
        try admission.admit(from: other)
        admission.dismiss(from: other)
        admission.adopt(from: source, count: 2)
        #expect(throws: ConnectionLimits.Refusal.total) { try admission.admit(from: other) }
    }

    @Test("a source that is told later counts from then on, and new limits hold for whoever comes next")
    func sources() throws {
        let admission = admission(total: 10, perSource: 1)
        try admission.admit(from: nil)
        try admission.attribute(to: source)
        #expect(throws: ConnectionLimits.Refusal.perSource) { try admission.admit(from: source) }
        try admission.admit(from: other)
        var limits = Limits()
        limits.connections = 10
        limits.connectionsPerSource = 2
        admission.setLimits(limits)
        try admission.admit(from: source)
        #expect(throws: ConnectionLimits.Refusal.perSource) { try admission.admit(from: source) }
    }

    @Test("a hundred thousand connections, one after another, leave nothing behind that the next one pays for")
    func many() throws {
        let admission = admission(total: 10)
        let told = Mutex(0)
        admission.whenEmpty { told.withLock { $0 += 1 } }
        for _ in 0..<100_000 {
            try admission.admit(from: source)
            admission.dismiss(from: source)
        }
        #expect(told.withLock { $0 } == 100_000)
    }

    @Test("that the last has left is told each time, and only then")
    func empty() throws {
        let admission = admission(total: 10)
        let told = Mutex(0)
        admission.whenEmpty { told.withLock { $0 += 1 } }
        for _ in 0..<3 { try admission.admit(from: source) }
        admission.dismiss(from: source)
        admission.dismiss()
        #expect(told.withLock { $0 } == 0)
        admission.dismiss()
        #expect(told.withLock { $0 } == 1)
        try admission.admit(from: source)
        admission.dismiss(from: source)
        #expect(told.withLock { $0 } == 2)
    }
}
