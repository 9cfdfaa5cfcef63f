internal import BatonCore

/// One address of an upstream as it is connected to: what was written, or what a name has led to.
package struct UpstreamEndpoint: Hashable, Sendable {
    /// What it is called in status and metrics, and told apart by: `192.0.2.1:80`, or a name that has not been resolved.
    package var name: String
    /// What a hash takes it for: a name that leads to one address is itself, wherever that is.
    package var key: String
    /// What is connected to.
    package var address: Address
    /// The host as it was written or as an SRV record names it, for TLS.
    package var host: Address.Host?
    /// Its share; 0: it gets no new connections.
    package var weight: Int
    /// The rank of its SRV priority: those of a higher rank are for when all of a lower one cannot be had.
    package var rank = 0
    /// Where the address that has led to it stands in the list.
    package var position: Int
    /// Whether it is one of several that an SRV name has led to, and so in no order.
    package var isOfService = false
}

/// What is known of the names in a configuration. It goes from the front to the workers.
package struct KnownNames: Codable, Hashable, Sendable {
    /// Where an SRV record leads.
    package struct Target: Codable, Hashable, Sendable {
        package var priority: UInt16
        package var weight: UInt16
        package var port: UInt16
        package var host: String

        /// Creates the content of a record.
        package init(priority: UInt16, weight: UInt16, port: UInt16, host: String) {
            self.priority = priority
            self.weight = weight
            self.port = port
            self.host = host
        }
    }

    /// Addresses by host name.
    package var hosts: [String: [String]] = [:]
    /// Records by service name.
    package var services: [String: [Target]] = [:]

    /// Knows nothing.
    package init() {}
}

extension Upstream {
    /// The addresses to connect to, as far as names have been resolved. A host name that has not been is one of them itself; an
    /// SRV name that has not been has none.
    package func endpoints(_ known: KnownNames) -> [UpstreamEndpoint] {
        var all: [UpstreamEndpoint] = []
        var seen: Set<String> = []
        func add(_ host: Address.Host, _ port: UInt16, _ model: UpstreamEndpoint) {
            var found = [host]
            if case .name(let name) = host, let addresses = known.hosts[name], !addresses.isEmpty {
                found = addresses.compactMap { IPAddress($0) }.map(Address.Host.ip)
            }
            for one in found {
                var endpoint = model
                endpoint.address = .tcp(one, port: port)
                endpoint.name = "\(endpoint.address)"
                endpoint.key = found.count == 1 ? "\(Address.tcp(host, port: port))" : endpoint.name
                endpoint.host = host
                if seen.insert(endpoint.name).inserted { all.append(endpoint) }
            }
        }
        for (position, entry) in addresses.enumerated() {
            switch entry.place {
            case .address(let address):
                let model = UpstreamEndpoint(
                    name: "\(address)", key: "\(address)", address: address, host: nil, weight: entry.weight,
                    position: position)
                if case .tcp(let host, let port) = address {
                    add(host, port, model)
                } else if seen.insert(model.name).inserted {
                    all.append(model)
                }
            case .service(let name):
                let targets = known.services[name] ?? []
                let priorities = Set(targets.map(\.priority)).sorted()
                for target in targets {
                    guard let host = Self.host(target.host), let rank = priorities.firstIndex(of: target.priority)
                    else { continue }
                    // RFC 2782: a weight of 0 is for where there is nothing to choose, and has a small chance among others.
                    let weight = entry.weight * (targets.contains { $0.weight > 0 } ? max(1, Int(target.weight)) : 1)
                    add(
                        host, target.port,
                        UpstreamEndpoint(
                            name: "", key: "", address: .tcp(host, port: target.port), host: nil, weight: weight,
                            rank: rank,
                            position: position, isOfService: true))
                }
            }
        }
        return all
    }

    /// A host that a record names, if it can be one.
    private static func host(_ text: String) -> Address.Host? { HostName(text).map { .name($0.text) } }
}

extension Configuration {
    /// What has to be asked for the addresses of all upstreams, as far as it is known where their services are.
    ///
    /// - Returns: each question, and how often it is asked; `nil`: as the answer says.
    package func nameQuestions(_ known: KnownNames) -> [NameQuestion: Duration?] {
        var wanted: [NameQuestion: Duration?] = [:]
        func want(_ question: NameQuestion, _ upstream: Upstream) {
            guard let before = wanted[question] else {
                wanted[question] = .some(upstream.resolveEvery)
                return
            }
            let shorter = [before, upstream.resolveEvery].compactMap { $0 }.min()
            wanted[question] = .some(shorter)
        }
        for upstream in upstreams.values {
            for entry in upstream.addresses {
                switch entry.place {
                case .address(.tcp(.name(let name), _)): want(.host(name), upstream)
                case .service(let name):
                    want(.service(name), upstream)
                    for target in known.services[name] ?? [] {
                        if let host = HostName(target.host) { want(.host(host.text), upstream) }
                    }
                case .address: continue
                }
            }
        }
        return wanted
    }
}
