import Testing

@testable import BatonServer

@Suite("What is watched, and when it is looked at")
struct CertificateWatchTests {
    /// A file system: what stands at each path that is no folder.
    private func plan(_ paths: [String], _ entries: [String: WatchPlan.Entry]) -> [String: Set<String>] {
        WatchPlan(paths) { path in
            if let entry = entries[path] { return entry }
            return entries.keys.contains { $0.hasPrefix(path + "/") } ? .folder : .missing
        }.folders
    }

    @Test("a plain file is watched in its folder, and one that is missing where it would appear")
    func plain() {
        #expect(
            plan(["/etc/pki/a.pem", "/etc/pki/a.key"], ["/etc/pki/a.pem": .file]) == ["/etc/pki": ["a.pem", "a.key"]])
        #expect(plan(["/etc/pki/a.pem"], ["/etc/x": .file]) == ["/etc": ["pki"]])
        #expect(plan(["a/../b.pem"], ["./a/x": .file, "./b.pem": .file]) == [".": ["b.pem"]])
    }

    @Test("every link on the way is watched: certbot's, those of Kubernetes, and one to a folder")
    func links() {
        #expect(
            plan(
                ["/le/live/x/fullchain.pem"],
                [
                    "/le/live/x/fullchain.pem": .link(to: "../../archive/x/fullchain7.pem"),
                    "/le/archive/x/fullchain7.pem": .file,
                ]) == ["/le/live/x": ["fullchain.pem"], "/le/archive/x": ["fullchain7.pem"]])
        #expect(
            plan(
                ["/tls/tls.crt"],
                [
                    "/tls/tls.crt": .link(to: "..data/tls.crt"), "/tls/..data": .link(to: "..2026"),
                    "/tls/..2026/tls.crt": .file,
                ])
                == ["/tls": ["tls.crt", "..data"], "/tls/..2026": ["tls.crt"]])
        #expect(
            plan(["/a/current/c.pem"], ["/a/current": .link(to: "/b/7"), "/b/7/c.pem": .file])
                == ["/a": ["current"], "/b/7": ["c.pem"]])
    }

    @Test("links that lead in a circle end")
    func circle() {
        #expect(plan(["/a/x"], ["/a/x": .link(to: "y"), "/a/y": .link(to: "x")]) == ["/a": ["x", "y"]])
    }

    @Test("a change is looked at when it is quiet, at last two seconds behind the first")
    func quiet() {
        var times = WatchTimes(now: 0)
        #expect(times.lookTime == WatchTimes.interval)
        times.changed(at: 1_000)
        #expect(times.lookTime == 1_000 + WatchTimes.quiet)
        for step in 1...100 { times.changed(at: UInt64(step) * 100_000_000) }
        #expect(times.lookTime == 1_000 + WatchTimes.longest)
        times.looked(at: 5_000_000_000)
        #expect(times.lookTime == 5_000_000_000 + WatchTimes.interval)
        times.hears = false
        #expect(times.lookTime == 5_000_000_000 + WatchTimes.deafInterval)
    }

    @Test("what cannot be used is tried again, ever more seldom, until it can")
    func retries() {
        var times = WatchTimes(now: 0)
        #expect(times.retryTime == nil)
        times.hasRead(isWhole: false, at: 0)
        #expect(times.retryTime == WatchTimes.firstRetry)
        times.hasRead(isWhole: false, at: 0)
        #expect(times.retryTime == 2 * WatchTimes.firstRetry)
        for _ in 0..<20 { times.hasRead(isWhole: false, at: 0) }
        #expect(times.retryTime == WatchTimes.longestRetry)
        times.hasRead(isWhole: true, at: 0)
        #expect(times.retryTime == nil)
    }

    @Test("a responder is asked at half the life of its answer, at once without one, and not without end")
    func staples() {
        var schedule = StapleSchedule(term: 1_000...2_000, jitter: 0.5)
        #expect(!schedule.isDue(at: 1_499))
        #expect(schedule.isDue(at: 1_500))
        schedule.asked()
        #expect(!schedule.isDue(at: 1_500))
        schedule.failed(at: 1_500, jitter: 0)
        #expect(schedule.nextAt == 1_505)
        schedule.failed(at: 1_505, jitter: 1)
        #expect(schedule.nextAt == 1_505 + 10 + 2)
        for _ in 0..<100 { schedule.failed(at: 2_000, jitter: 0) }
        #expect(schedule.nextAt == 2_000 + StapleSchedule.longestRetry)
        // Past its half already: not again at once.
        schedule.answered(1_000...2_400, at: 2_000, jitter: 0)
        #expect(schedule.nextAt == 2_000 + 100)
        schedule.answered(.min ... .max, at: 2_000, jitter: 1)
        #expect(schedule.nextAt >= 2_060)
        #expect(StapleSchedule(term: nil, jitter: 0).isDue(at: 0))
    }
}
