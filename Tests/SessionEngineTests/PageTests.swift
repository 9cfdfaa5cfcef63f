import BatonCore
import Glibc
import SampleArena
import SessionEngine
import Synchronization
import TLSRecords
import Testing

@Suite("A page session")
struct PageTests {
    private static let suites: [CipherSuite?] = [nil, .aes128GCM, .ecdheRSAWithAES256GCM]

    private static func place(_ suite: CipherSuite?, total: UInt64 = .max, isUnix: Bool = false) throws -> Place {
        try Place(TestSession(page: suite, total: total, isUnix: isUnix))
    }

    @Test(
        "ends when its peer has ended, behind all answers, also in the midst of a request", arguments: suites,
        [false, true])
    func halfClosed(suite: CipherSuite?, isUnix: Bool) throws {
        let place = try Self.place(suite, isUnix: isUnix)
        // Much is on its way when the peer ends.
        place.session.peer.end.isPaused = true
        try place.settle()
        place.session.peer.end.total = place.session.peer.end.sent
        try place.settle()
        try place.succeed()
        #expect(place.lost == [])
        place.session.peer.end.isPaused = false
        #expect(try place.run { place.session.peer.end.isDone })
        #expect(place.session.peer.end.fault == nil)
        #expect(place.session.peer.end.received == place.session.peer.end.due)
        #expect(try place.run { place.sessionCount == 0 })
        #expect(place.withEngine { $0.takeEvents() }.ended == [.inOrder])
    }

    @Test(
        "leaves its engine and comes back at any moment, and loses and doubles no answer", arguments: suites, [1, 17])
    func moves(suite: CipherSuite?, every: Int) throws {
        let place = try Self.place(suite, total: 300_000)
        var (moves, within, steps) = (0, 0, 0)
        let isDone = try place.run {
            steps += 1
            if steps % every == 0 {
                place.withEngine { engine in
                    let parcels = engine.extract([1]).parcels.compactMap { parcel -> SessionParcel? in
                        guard let session = parcel.take() else { return nil }
                        if !session.scanner.isAtStart { within += 1 }
                        return SessionParcel(session)
                    }
                    moves += parcels.count
                    let refused = engine.begin(parcels)
                    #expect(refused.isEmpty)
                }
            }
            return place.session.peer.end.isDone
        }
        #expect(isDone)
        #expect(place.session.peer.end.fault == nil)
        #expect(place.session.peer.end.received == place.session.peer.end.due)
        #expect(moves > 1)
        #expect(within > 0)
    }

    @Test("reads no further than its limit while its peer does not read", arguments: suites)
    func backpressure(suite: CipherSuite?) throws {
        let place = try Self.place(suite)
        place.withEngine { $0.setLimits(SessionLimits(bufferSize: 10_000), moveEvery: 0) }
        place.session.limitClientOutput()
        place.session.peer.end.isPaused = true
        try place.settle()
        let before = try #require(place.withEngine { $0.list(after: nil, limit: 1) }.first).counts
        #expect(before.receivedFromClient > 10_000)
        #expect(SamplePage.answered(before.receivedFromClient) < before.writtenToClient + 65_536 + 65_536)
        place.session.peer.end.total = place.session.peer.end.sent
        place.session.peer.end.isPaused = false
        #expect(try place.run { place.session.peer.end.isDone })
        #expect(place.session.peer.end.received == place.session.peer.end.due)
        #expect(place.session.peer.end.fault == nil)
    }

    // MARK: One peer that asks by hand

    /// A connection to a page in an engine, whose owner can die at any moment.
    private final class Asking {
        let outer: CInt
        let kept: CInt
        let memory: CInt
        var peer: Connection?
        private(set) var engine: Engine?
        private var owners: UInt64 = 1
        private var answered: [UInt8] = []
        private(set) var hasEnded = false
        private var sent: UInt64 = 0

        init(
            _ suite: CipherSuite?, early: String = "", limits: SessionLimits = SessionLimits(),
            respond: @escaping PageResponder = SamplePage.respond
        ) throws {
            let (outer, inner) = try TCPPair.make()
            var pair = TLSPair(suite)
            (self.outer, kept) = (outer, dup(inner))
            var one: CInt = 1
            for descriptor in [outer, inner] { setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4) }
            memory = try Arena.make(slotCount: 1, extentCount: 8)
            if let client = pair.client.take() { peer = Connection(resuming: client) }
            var engine = try Engine(taking: Arena(mapping: memory), as: 1, limits: limits, respond: respond)
            var session = SessionAtRest(
                number: 1, pageTo: SessionLeg(descriptor: inner, snapshot: pair.server.take()))
            session.early = Array(early.utf8)
            _ = try engine.begin(session)
            self.engine = consume engine
        }

        deinit {
            for descriptor in [outer, kept, memory] { close(descriptor) }
        }

        /// Another owner has the arena from here on.
        func succeed(limits: SessionLimits = SessionLimits()) throws {
            engine = nil
            owners += 1
            let kept = kept
            engine = try Engine(
                taking: Arena(mapping: memory), as: owners, limits: limits, sockets: { _ in (dup(kept), dup(kept)) },
                respond: SamplePage.respond)
        }

        func withEngine<R>(_ body: (inout Engine) throws -> R) rethrows -> R { try body(&engine!) }

        /// Sends in one record, and has the engine read it.
        func send(_ text: String) throws {
            sent += UInt64(try put(text))
            work { $0.engine.received >= $0.sent }
        }

        /// Sends in one record what the session is not to use.
        @discardableResult
        func put(_ text: String) throws -> Int {
            var bytes = Array(text.utf8)
            if peer != nil {
                try peer!.send(bytes.span.bytes)
                bytes = peer!.withOutgoing { $0.withUnsafeBytes { Array($0) } }
                peer!.didWrite(bytes.count)
            }
            #expect(Glibc.send(outer, bytes, bytes.count, 0) == bytes.count)
            return bytes.count
        }

        private func work(until isDone: (Asking) throws -> Bool) rethrows {
            let deadline = ContinuousClock.now + .seconds(30)
            while try !isDone(self), ContinuousClock.now < deadline { engine!.step(waiting: 1) }
        }

        /// The first words of the next answers.
        ///
        /// - Parameter count: how many there are, or more.
        func answers(_ count: Int, ending: Bool = false) throws -> [String] {
            try work {
                try $0.read()
                return answered.count { $0 == UInt8(ascii: "\n") } >= count && (!ending || hasEnded)
            }
            #expect(answered.isEmpty || answered.last == UInt8(ascii: "\n"))
            defer { answered = [] }
            return String(decoding: answered, as: UTF8.self).split(separator: "\n").map {
                $0.split(separator: " ").prefix(2).joined(separator: " ")
            }
        }

        private func read() throws {
            var bytes = [UInt8](repeating: 0, count: 100_000)
            while true {
                let count = recv(outer, &bytes, bytes.count, Int32(MSG_DONTWAIT))
                if count == 0 { hasEnded = true }
                guard count > 0 else { return }
                if peer == nil {
                    answered += bytes[..<count]
                    continue
                }
                peer!.receive(bytes.span.bytes.extracting(first: count))
                while let event = try peer!.nextEvent() {
                    guard case .applicationData(let length) = event else { continue }
                    answered += peer!.withUnread { $0.withUnsafeBytes { Array($0) } }
                    peer!.consumeUnread(length)
                }
            }
        }

        /// Whether the session is over, which it is waited for.
        var isOver: Bool {
            work { $0.engine.sessionCount == 0 }
            return engine.sessionCount == 0
        }

        /// The peer ends, and the session is over.
        func end() throws -> [SessionOutcome] {
            shutdown(outer, Int32(SHUT_WR))
            #expect(isOver)
            return engine!.takeEvents().ended
        }
    }

    @Test("answers a request of which half had come before its owner died, at every byte", arguments: suites)
    func cut(suite: CipherSuite?) throws {
        let asking = try Asking(suite)
        let request = "GET /a HTTP/1.1\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
        for cut in 1..<request.utf8.count {
            // What is behind the request before is the beginning of the next.
            try asking.send(String(decoding: Array(request.utf8)[..<cut], as: UTF8.self))
            #expect(try asking.answers(0) == [])
            try asking.succeed()
            #expect(asking.engine.lost == [])
            try asking.send(String(decoding: Array(request.utf8)[cut...], as: UTF8.self))
            #expect(try asking.answers(1) == ["get1 more"], "cut at \(cut)")
        }
        let half = "HEAD / HTTP/1.0\nConnection: "
        try asking.send(request + half)
        #expect(try asking.answers(1) == ["get1 more"])
        try asking.succeed()
        try asking.send("keep-alive\n\nPUT")
        #expect(try asking.answers(1) == ["head0 more"])
        try asking.succeed()
        try asking.send(" / HTTP/1.1\n\n")
        #expect(try asking.answers(1) == ["other more"])
        #expect(!asking.hasEnded)
    }

    @Test(
        "gives its last answer and ends behind it, and drops what comes behind, also where a new owner does",
        arguments: suites, [false, true])
    func last(suite: CipherSuite?, succeeds: Bool) throws {
        for (text, answer) in [
            ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "get1 last"), ("HEAD / HTTP/1.0\r\n\r\n", "head0 last"),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "other last"), ("no request\r\n", "notHTTP last"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "notHTTP last"),
            ("GET / HTTP/1.1\r\nHost: " + String(repeating: "a", count: 1_000), "tooLong last"),
        ] {
            let limits = SessionLimits(headSize: 600)
            let asking = try Asking(suite, limits: limits)
            try asking.send("GET / HTTP/1.1\n\n" + text + "GET /behind HTTP/1.1\r\n\r\n")
            if succeeds {
                try asking.succeed(limits: limits)
                #expect(asking.engine.lost == [])
            }
            try asking.put("GET /later HTTP/1.1\r\n\r\n")
            #expect(try asking.answers(2, ending: true) == ["get1 more", answer], "\(text)")
            #expect(asking.hasEnded)
            // Its peer's end is waited for, so that no reset destroys the answer.
            #expect(asking.engine.sessionCount == 1)
            #expect(asking.withEngine { $0.extract([1]).left.map(\.1) } == [.ending])
            #expect(try asking.end() == [.inOrder])
        }
    }

    @Test("answers no more than 32 requests of one record, of which the last ends the connection if there are more")
    func manyInARecord() throws {
        let request = "GET / HTTP/1.1\n\n"
        for (count, rest, isLast) in [
            (32, "", false), (33, "", true), (32, "GET /half", false), (32, "x:\u{1}", true),
        ] {
            let asking = try Asking(.aes128GCM)
            try asking.send(String(repeating: request, count: count) + rest)
            var expected = [String](repeating: "get1 more", count: 32)
            if isLast { expected[31] = "get1 last" }
            #expect(try asking.answers(32, ending: isLast) == expected)
            #expect(asking.hasEnded == isLast)
            guard !isLast else {
                #expect(try asking.end() == [.inOrder])
                continue
            }
            try asking.send(rest.isEmpty ? request : " HTTP/1.1\n\n")
            #expect(try asking.answers(1) == ["get1 more"])
        }
    }

    @Test("answers all requests of a plain leg, however many come at once")
    func manyPlain() throws {
        let asking = try Asking(nil)
        try asking.send(String(repeating: "GET / HTTP/1.1\n\n", count: 100))
        #expect(try asking.answers(100) == [String](repeating: "get1 more", count: 100))
    }

    @Test("gives no more than some answers at a time, so that one who asks at once does not hold up the others")
    func fairness() throws {
        let count = Mutex(0)
        let asking = try Asking(nil) { question in
            count.withLock { $0 += 1 }
            return SamplePage.respond(question)
        }
        let all = 3_000
        try asking.put(String(repeating: "GET / HTTP/1.1\n\n", count: all))
        var most = 0
        let deadline = ContinuousClock.now + .seconds(30)
        while count.withLock({ $0 }) < all, ContinuousClock.now < deadline {
            let before = count.withLock { $0 }
            asking.withEngine { $0.step(waiting: 1) }
            most = max(most, count.withLock { $0 } - before)
        }
        #expect(count.withLock { $0 } == all)
        // A session that has something to read and something to do may have two turns in one step.
        #expect(most <= 2 * PageQuestion.maxAnswersAtOnce)
        #expect(try asking.answers(all) == [String](repeating: "get1 more", count: all))
    }

    @Test(
        "answers what a former owner has read and not answered",
        arguments: [CipherSuite.aes128GCM, .ecdheRSAWithAES256GCM])
    func early(suite: CipherSuite) throws {
        let asking = try Asking(suite, early: "GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nPUT / HT")
        #expect(try asking.answers(2) == ["get1 more", "head1 more"])
        try asking.succeed()
        #expect(asking.engine.lost == [])
        try asking.send("TP/1.1\r\n\r\n")
        #expect(try asking.answers(1) == ["other more"])
        let last = try Asking(suite, early: "GET / HTTP/1.0\r\n\r\nGET /")
        #expect(try last.answers(1, ending: true) == ["get0 last"])
        #expect(last.hasEnded)
        #expect(try last.end() == [.inOrder])
    }

    @Test("that is to end tells those at once that have asked nothing, and others with their answer", arguments: suites)
    func ending(suite: CipherSuite?) throws {
        let idle = try Asking(suite)
        try idle.send("GET / HTTP/1.1\n\n")
        let asking = try Asking(suite)
        try asking.send("GET / HTTP/1.1\n")
        for one in [idle, asking] {
            one.withEngine { $0.setLimits(SessionLimits(isEnding: true), moveEvery: 0) }
        }
        #expect(try idle.answers(1, ending: true) == ["get1 more"])
        #expect(idle.hasEnded)
        #expect(try idle.end() == [.closed])
        #expect(try asking.answers(0) == [])
        #expect(!asking.hasEnded)
        try asking.send("\n")
        #expect(try asking.answers(1, ending: true) == ["get1 last"])
        #expect(asking.hasEnded)
        #expect(try asking.end() == [.inOrder])
    }

    @Test(
        "whose answer is none, or too long for one, is reset behind the answers before", arguments: suites, [0, 1_537])
    func unanswerable(suite: CipherSuite?, length: Int) throws {
        let asking = try Asking(suite) { question in
            question.finding == .notHTTP ? [UInt8](repeating: 7, count: length) : SamplePage.respond(question)
        }
        try asking.send("GET / HTTP/1.1\n\n")
        #expect(try asking.answers(1) == ["get1 more"])
        try asking.send("?")
        #expect(asking.isOver)
        #expect(asking.withEngine { $0.takeEvents() }.ended == [.closed])
    }

    @Test("without a byte for its limit ends in order", arguments: suites)
    func limits(suite: CipherSuite?) throws {
        let asking = try Asking(suite)
        try asking.send("GET / HTTP/1.1\n\n")
        asking.withEngine { $0.setIdleLimit(1, 300) }
        #expect(try asking.answers(1, ending: true) == ["get1 more"])
        #expect(try asking.end() == [.idle])
    }

    @Test("is reset when TLS is cut off without close_notify")
    func truncated() throws {
        let asking = try Asking(.aes128GCM)
        try asking.send("GET / HTTP/1.1\n\n")
        #expect(try asking.answers(1) == ["get1 more"])
        #expect(try asking.end() == [.reset(.client)])
    }

    @Test("that is idle is its slot, and nothing is left in that after its end")
    func memory() throws {
        let place = try Self.place(.aes256GCM)
        #expect(try place.run { place.session.peer.end.received > 300_000 })
        place.session.peer.end.isSilent = true
        try place.settle()
        try place.succeed()
        #expect(place.lost == [])
        #expect(place.footprint <= 3 * 4096)  // the header and four slots
        #expect(place.slotBytes[64] == 3)
        place.withEngine { $0.reset([1]) }
        var left = place.slotBytes
        left.replaceSubrange(16..<24, with: repeatElement(0, count: 8))  // the count of sessions that were here
        #expect(left.allSatisfy { $0 == 0 })
    }

    @Test("cannot be taken over when its slot has no scanner's state, or names anything of a second leg")
    func impossible() throws {
        for (offset, bytes) in [
            (428, [13]), (429, [200]), (430, [8]), (431, [128]), (432, [255, 255, 255, 255]),
            (428, [2, 0, 0, 0, 0, 0, 0, 0]), (208 + 32, [0, 0, 0, 0]), (208 + 48, [2]),
        ] as [(Int, [UInt8])] {
            let place = try Self.place(nil)
            place.session.peer.end.isSilent = true
            try place.settle()
            place.drop()
            place.damage(at: 120 + 440 * Int(place.slotBytes[4]) + offset, bytes)
            try place.succeed()
            #expect(place.lost == [.impossible], "at \(offset)")
        }
    }
}

extension [SessionEvent] {
    fileprivate var ended: [SessionOutcome] {
        compactMap { if case .ended(_, let why) = $0 { why } else { nil } }
    }
}

extension Optional where Wrapped == Engine {
    /// Bytes that the only session has read.
    fileprivate var received: UInt64 {
        mutating get { self!.list(after: nil, limit: 1).first?.counts.receivedFromClient ?? .max }
    }
}
