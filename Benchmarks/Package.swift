// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "Benchmarks",
    dependencies: [.package(name: "Baton", path: "..")],
    targets: [
        .target(name: "CAllocations"),
        .target(name: "CRival", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .executableTarget(
            name: "benchmarks",
            dependencies: ["CAllocations", "CRival", .product(name: "Baton", package: "Baton")],
            swiftSettings: settings),
    ]
)
