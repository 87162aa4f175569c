// iceoryx' publisher and subscriber, one to one, where it is installed (Debian: libiceoryx-posh-dev).
// Its daemon, RouDi, is a child of the benchmark here. Messages are copied in and out, as the others'
// are, which it can do without; who finds nothing yields.
#include "transports.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/iceoryx_posh_types.hpp>
#include <iceoryx_posh/internal/roudi/roudi.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/roudi/iceoryx_roudi_components.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

namespace {

constexpr uint64_t kAhead = 256; // messages, as many as its queue takes at most
int number;                      // of the round: a name of its own
pid_t daemon_pid, first_pid;
iox::popo::UntypedPublisher *publisher; // of this process: a runtime does not survive a fork
iox::popo::UntypedSubscriber *subscriber;

void be_quiet()
{
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kError, iox::log::LogLevelOutput::kHideLogLevel);
}

// Until its parent ends, or says so. Its shared memory has names, which it removes.
void serve(int ready)
{
    sigset_t end;
    int signal;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, nullptr); // in all of its threads
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    be_quiet();
    iox::RouDiConfig_t config;
    iox::mepoo::MePooConfig pools;
    for (uint32_t size : {128u, 2048u, 70000u, 1u << 20 | 4096u})
        pools.addMemPool({size, static_cast<uint32_t>(kAhead) + 64}); // those in hands, too
    auto group = iox::posix::PosixGroup::getGroupOfCurrentProcess().getName();
    config.m_sharedMemorySegments.push_back({group, group, pools});
    iox::roudi::IceOryxRouDiComponents components(config);
    iox::roudi::RouDi roudi(
        components.rouDiMemoryManager, components.portManager,
        iox::roudi::RouDi::RoudiStartupParameters(iox::roudi::MonitoringMode::ON, false));
    if (write(ready, "x", 1) != 1) abort();
    sigwait(&end, &signal);
}

void end_daemon()
{
    if (daemon_pid <= 0 || getpid() != first_pid) return;
    kill(daemon_pid, SIGTERM);
    waitpid(daemon_pid, nullptr, 0);
}

bool begin_daemon()
{
    int ready[2];
    char byte;
    if (daemon_pid != 0 || pipe(ready) != 0) return daemon_pid > 0;
    first_pid = getpid();
    daemon_pid = fork();
    if (daemon_pid == 0) {
        close(ready[0]);
        bool quiet = freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr);
        if (quiet) serve(ready[1]);
        _exit(0);
    }
    close(ready[1]);
    bool serves = daemon_pid > 0 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    if (!serves) daemon_pid = -1;
    atexit(end_daemon);
    return serves;
}

bool start(size_t)
{
    number++;
    return begin_daemon();
}

iox::capro::ServiceDescription topic()
{
    std::string round = std::to_string(number);
    return {"spork", "bench", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, round.c_str())};
}

void begin_runtime()
{
    be_quiet();
    std::string name = "spork-bench-" + std::to_string(getpid());
    iox::runtime::PoshRuntime::initRuntime(
        iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name.c_str()));
}

// What is published before somebody subscribes is lost.
void begin_putting()
{
    iox::popo::PublisherOptions options;
    options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    publisher = new iox::popo::UntypedPublisher(topic(), options);
    for (int ms = 0; !publisher->hasSubscribers(); ms++) {
        if (ms > 60000) abort();
        usleep(1000);
    }
}

void begin_getting()
{
    iox::popo::SubscriberOptions options;
    options.queueCapacity = kAhead;
    options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    subscriber = new iox::popo::UntypedSubscriber(topic(), options);
}

// Whoever begins rounds has no runtime: those that it forks could have none of their own.
void join(bool putting)
{
    begin_runtime();
    if (putting)
        begin_putting();
    else
        begin_getting();
}

void leave()
{
    delete publisher;
    delete subscriber;
    publisher = nullptr;
    subscriber = nullptr;
}

void put(const void *data, size_t size)
{
    auto loan = publisher->loan(static_cast<uint32_t>(size));
    if (loan.has_error()) abort();
    memcpy(loan.value(), data, size);
    publisher->publish(loan.value());
}

size_t get(void *data, size_t)
{
    for (;;) {
        auto taken = subscriber->take();
        if (taken.has_error()) {
            sched_yield();
            continue;
        }
        size_t size = iox::mepoo::ChunkHeader::fromUserPayload(taken.value())->userPayloadSize();
        memcpy(data, taken.value(), size);
        subscriber->release(taken.value());
        return size;
    }
}

} // namespace

const transport iceoryx_transport = {"iceoryx", start, put, get, leave, leave, join};
