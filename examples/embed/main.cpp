// Loads a module, says what it may do, calls it, and shows what it used: embed FILE.wasm [EXPORT [ARGUMENT…]]
#include <berth/embed/host.hpp>
#include <iostream>

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    auto host = berth::embed::Host::create();
    if (!host) {
        std::cerr << host.error().full_message() << '\n';
        return 1;
    }
    const berth::embed::Grants grants{.allow = {"time.now"}, .limits = {"memory=16MiB", "wall=2s"}};
    auto program = host->load(argv[1], grants);
    if (!program) {
        std::cerr << program.error().full_message() << '\n';
        return 1;
    }
    const auto result = program->call({.entry = argc > 2 ? argv[2] : "", .arguments = {argv + std::min(argc, 3), argv + argc}});
    std::cout << result.output << '\n' << result.error_output;
    for (const auto& each : result.denied) std::cerr << "denied: " << each.capability << "; to grant it: " << each.fix << '\n';
    if (result.error) std::cerr << name(result.error->code()) << ": " << result.error->message() << '\n';
    std::cerr << "fuel " << result.usage.fuel << ", peak memory " << result.usage.peak_memory << ", host calls " << result.usage.host_calls << '\n';
    return result.error ? result.error->exit_status() : 0;
}
