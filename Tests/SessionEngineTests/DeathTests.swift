import Glibc
import SampleArena
import SessionEngine
import TLSRecords
import Testing

#if DEBUG
    /// What an engine does with sessions beside its work, each with a death at every step.
    @Suite("An owner that dies at any step", .serialized)
    struct DeathTests {
        /// An arena with one session in the midst of its streams, with a note.
        private struct Scene {
            let place: Place
            let note: [UInt8]

            init(noteLength: Int = 20) throws {
                place = try Place(client: .aes128GCM, upstream: .ecdheRSAWithAES128GCM, total: .max)
                let note = [UInt8](repeating: 9, count: noteLength)
                self.note = note
                let isSet = place.withEngine { $0.setNote(1, note) }
                guard isSet else { throw Fault("no note") }
                // Input and output wait when the owner takes over.
                place.session.limitClientOutput()
                place.session.peer.end.isPaused = true
                guard try place.run(until: { place.session.backend.end.received > 20_000 }) else { throw Fault("slow") }
                place.session.peer.end.isSilent = true
                try place.settle()
                place.drop()
            }

            /// - Returns: whether the owner has died, and whether it has said something.
            func act(_ action: OwnerProcess.Action, dyingAt step: Int) throws -> (hasDied: Bool, hasSpoken: Bool) {
                let sockets = [(slot: place.slot, client: place.session.client, upstream: place.session.upstream)]
                let (status, hasSpoken) = try OwnerProcess(place.memory, action, dyingAt: step, sockets).wait()
                guard status == 0 || status & 0x7F == SIGKILL else { throw Fault("the owner ended: \(status)") }
                return (status != 0, hasSpoken)
            }

            /// Another owner has the arena, and nothing in it is impossible.
            func succeed() throws {
                try place.succeed(afterKilled: Arena.owner(of: place.memory))
                #expect(place.lost == [])
            }

            var foundNote: [UInt8]? { place.withEngine { $0.list(after: nil, limit: 1).first?.note } }

            /// The client reads what the kernel has for it, so that the owner has something to write.
            func makeWork() {
                place.session.peer.end.isPaused = false
                for _ in 0..<20 { StreamEnd.step(place.ends, milliseconds: 0) }
            }

            /// Nothing of the session is left in its slot.
            var isErased: Bool {
                place.slotBytes[..<16].allSatisfy { $0 == 0 } && place.slotBytes[24...].allSatisfy { $0 == 0 }
            }
        }

        /// Has an owner die at each step of its action, one after the other, until one outlives it.
        ///
        /// - Returns: how many have died.
        private func atEachStep(
            of action: OwnerProcess.Action, noteLength: Int = 20, before: (Scene) -> Void = { _ in },
            _ check: (Scene, _ hasDied: Bool, _ hasSpoken: Bool) throws -> Void
        ) throws -> Int {
            for step in 0..<1_000 {
                let scene = try Scene(noteLength: noteLength)
                before(scene)
                let (hasDied, hasSpoken) = try scene.act(action, dyingAt: step)
                try scene.succeed()
                try check(scene, hasDied, hasSpoken)
                if !hasDied { return step }
            }
            throw Fault("an action without end")
        }

        @Test("of replacing notes leaves the one before or the one after, whole")
        func notes() throws {
            var found: Set<[UInt8]> = []
            let deaths = try atEachStep(of: .note) { scene, hasDied, _ in
                let note = try #require(scene.foundNote)
                let possible =
                    [scene.note] + [(1, 100), (2, 3_000), (3, 50)].map { [UInt8](repeating: $0.0, count: $0.1) }
                #expect(possible.contains(note))
                if !hasDied { #expect(note == possible.last) }
                found.insert(note)
                try scene.place.finish()
            }
            #expect(deaths >= 9)
            #expect(found.count == 4)
        }

        @Test("of taking a session out loses it or leaves it, and nobody has it twice")
        func leaving() throws {
            var (stayed, lost) = (0, 0)
            let deaths = try atEachStep(of: .leave) { scene, hasDied, hasSpoken in
                #expect(hasSpoken == !hasDied)
                if scene.place.sessionCount == 1 {
                    #expect(!hasSpoken)
                    #expect(scene.foundNote == scene.note)
                    stayed += 1
                    try scene.place.finish()
                } else {
                    lost += 1
                    #expect(scene.isErased)
                }
            }
            #expect(deaths > 2)
            #expect(stayed > 0 && lost > 1)
        }

        @Test("of beginning a session whose note needs an extent has begun it whole, or not at all")
        func beginning() throws {
            var (begun, lost) = (0, 0)
            _ = try atEachStep(of: .comeBack, before: { $0.makeWork() }) { scene, hasDied, _ in
                if scene.place.sessionCount == 1 {
                    begun += 1
                    #expect(scene.foundNote == [UInt8](repeating: 4, count: 3_000))
                    try scene.place.finish()
                } else {
                    lost += 1
                    #expect(hasDied)
                    #expect(scene.isErased)
                }
            }
            #expect(begun > 1 && lost > 0)
        }

        @Test(
            "of resetting a session, or of ending one that is idle, leaves it or has ended it",
            arguments: [false, true])
        func ending(isIdle: Bool) throws {
            let deaths = try atEachStep(
                of: isIdle ? .idle : .reset, noteLength: 3_000,
                before: { scene in
                    guard isIdle else { return }
                    // Nothing is to come, so that the limit is reached.
                    scene.place.damage(at: 72, [1, 0, 0, 0, 0, 0, 0, 0])
                }
            ) { (scene: Scene, hasDied: Bool, _) throws in
                if !hasDied { #expect(scene.place.sessionCount == 0) }
                // One whose sides have been reset ends by itself.
                for box in scene.place.ends { box.end.isSilent = true }
                scene.place.session.peer.end.isPaused = false
                if scene.place.sessionCount == 1 {
                    scene.place.withEngine { $0.reset([1]) }
                }
                #expect(try scene.place.run { scene.place.sessionCount == 0 })
                #expect(scene.isErased)
                #expect(try scene.place.run { scene.place.ends.allSatisfy { $0.end.fault != nil } })
            }
            #expect(deaths > 1)
        }

        @Test(
            "of ending a session whose peer has broken the protocol does not keep the alert from it",
            arguments: [false, true])
        func alert(isEcho: Bool) throws {
            for step in 0..<1_000 {
                let place = try Place(
                    isEcho
                        ? TestSession(echo: .aes128GCM, total: .max)
                        : TestSession(client: .aes128GCM, upstream: nil, total: .max))
                #expect(try place.run { place.session.peer.end.received > 20_000 })
                for box in place.ends { box.end.isSilent = true }
                try place.settle()
                let received = place.session.peer.end.received
                place.drop()
                let garbage: [UInt8] = [23, 3, 3, 0, 40] + Array(repeating: 9, count: 40)
                #expect(send(place.session.peer.end.descriptor, garbage, garbage.count, 0) == garbage.count)
                shutdown(place.session.peer.end.descriptor, Int32(SHUT_WR))
                let sockets = [(slot: place.slot, client: place.session.client, upstream: place.session.upstream)]
                let (status, _) = try OwnerProcess(place.memory, dyingAt: step, sockets).wait()
                #expect(status == 0 || status & 0x7F == SIGKILL)
                try place.succeed(afterKilled: Arena.owner(of: place.memory))
                #expect(place.lost == [], "after a death at step \(step)")
                #expect(try place.run { place.session.peer.end.fault != nil })
                #expect(place.session.peer.end.error == TLSError(.peerAlert, alert: .badRecordMAC))
                #expect(place.session.peer.end.received == received)
                if !isEcho { #expect(try place.run { place.session.backend.end.fault != nil }) }
                #expect(try place.run { place.sessionCount == 0 })
                if status == 0 {
                    #expect(step > 5)
                    return
                }
            }
        }

        @Test("of taking over a session that its owner was working on loses no byte, and is no fault of the session")
        func takingOver() throws {
            let deaths = try atEachStep(
                of: .takeOver, noteLength: 3_000,
                before: { scene in
                    scene.makeWork()
                    scene.place.damage(at: 8, [1])
                }
            ) { scene, _, _ in
                #expect(scene.place.sessionCount == 1)
                #expect(scene.place.slotBytes[12] == 0)
                #expect(scene.foundNote == scene.note)
                try scene.place.finish()
            }
            #expect(deaths > 3)
        }
    }
#endif
