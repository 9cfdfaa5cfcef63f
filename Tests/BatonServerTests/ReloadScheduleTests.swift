import Testing

@testable import BatonServer

/// Every order of events, up to a length, against what operators rely on.
@Suite("When the configuration is read again")
struct ReloadScheduleTests {
    private typealias Schedule = ReloadSchedule<Int>

    private enum Event: CaseIterable {
        case ask, hup, change, serve, replace, replaced, stop, read, ended
    }

    /// A server around the schedule: what is asked of it, and what it has done.
    private struct Server {
        var schedule = Schedule()
        /// The number of the last request that the files under way were read behind; nil: no reading.
        var readingBehind: Int?
        var isInUse = false
        /// Whether the configuration is among what is being read.
        var readsAll = false
        /// Changes of certificates so far, those that the files under way were read behind, and those in use.
        var (changes, readingChanges, followedChanges) = (0, 0, 0)
        /// Requests so far, with an asker or not.
        var requests = 0
        var unanswered: Set<Int> = []
        /// The last request whose files are in use here, or that the successor was told of.
        var followed = 0
        var passedOn = 0

        mutating func perform(_ actions: [Schedule.Action]) {
            for action in actions {
                switch action {
                case .read(let scope):
                    #expect(readingBehind == nil, "two readings at once")
                    readsAll = scope == .configuration
                    #expect(schedule.moment == .serving)
                    readingBehind = requests
                    readingChanges = changes
                    isInUse = false
                case .passOn(let askers):
                    #expect(schedule.moment == .replaced)
                    passedOn = requests
                    answer(askers)
                case .refuse(let askers):
                    #expect(schedule.moment == .stopping)
                    answer(askers)
                }
            }
        }

        mutating func answer(_ askers: [Int]) {
            for asker in askers {
                let wasWaiting = unanswered.remove(asker) != nil
                #expect(wasWaiting, "answered twice: \(asker)")
            }
        }

        /// `false`: the event cannot happen now.
        mutating func handle(_ event: Event) -> Bool {
            switch event {
            case .ask:
                requests += 1
                unanswered.insert(requests)
                perform(schedule.ask(requests))
            case .hup:
                requests += 1
                perform(schedule.ask(nil))
            case .change:
                changes += 1
                perform(schedule.certificatesChanged())
            case .serve:
                guard schedule.moment != .serving, schedule.moment != .stopping else { return false }
                perform(schedule.enter(.serving))
            case .replace:
                guard schedule.moment == .serving else { return false }
                perform(schedule.enter(.replacing))
            case .replaced:
                guard schedule.moment == .replacing else { return false }
                perform(schedule.enter(.replaced))
            case .stop:
                guard schedule.moment != .stopping else { return false }
                perform(schedule.enter(.stopping))
            case .read:
                guard readingBehind != nil, !isInUse else { return false }
                let (isOfUse, actions) = schedule.hasRead()
                isInUse = isOfUse
                if !isOfUse { readingBehind = nil }
                perform(actions)
            case .ended:
                guard let behind = readingBehind, isInUse else { return false }
                readingBehind = nil
                if readsAll { followed = behind }
                followedChanges = readingChanges
                let (askers, actions) = schedule.hasEnded()
                for asker in askers { #expect(asker <= behind, "answered for files that were read before it asked") }
                answer(askers)
                perform(actions)
            }
            return true
        }

        /// What the server is left with in the end.
        mutating func settle() {
            if schedule.moment == .starting || schedule.moment == .replacing { _ = handle(.serve) }
            while handle(.read) || handle(.ended) {}
        }
    }

    @Test("every request is followed or answered once, in every order of events")
    func exhaustive() {
        var count = 0
        func explore(_ server: Server, _ depth: Int) {
            var settled = server
            settled.settle()
            #expect(settled.unanswered.isEmpty)
            switch settled.schedule.moment {
            case .serving:
                #expect(settled.followed == settled.requests, "the newest files are not in use")
                #expect(settled.followedChanges == settled.changes, "the newest certificates are not in use")
            case .replaced: #expect(max(settled.passedOn, settled.followed) == settled.requests)
            case .stopping: break
            case .starting, .replacing: Issue.record("not settled")
            }
            count += 1
            guard depth > 0 else { return }
            for event in Event.allCases {
                var next = server
                if next.handle(event) { explore(next, depth - 1) }
            }
        }
        explore(Server(), 7)
        #expect(count > 5_000)
    }

    @Test("a request that the successor was told of is followed here, should the successor fail")
    func successorFails() {
        var server = Server()
        for event: Event in [.serve, .replace, .hup, .replaced, .serve] {
            let isPossible = server.handle(event)
            #expect(isPossible)
        }
        #expect(server.readingBehind == 1)
    }
}
