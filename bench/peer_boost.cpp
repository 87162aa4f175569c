// Boost.Interprocess' message_queue, where its headers are installed (Debian: libboost-dev).
#include "transports.h"

#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <string>

namespace {
namespace ip = boost::interprocess;
ip::message_queue *queue;
std::string name;

bool start(size_t message)
{
    size_t bytes = message >= 65536 ? 4 << 20 : 1 << 20, slots = bytes / message;
    name = "spork-bench-" + std::to_string(getpid());
    ip::message_queue::remove(name.c_str());
    queue = new ip::message_queue(ip::create_only, name.c_str(), slots, message);
    return true;
}
void put(const void *data, size_t size) { queue->send(data, size, 0); }
size_t get(void *data, size_t room)
{
    ip::message_queue::size_type size;
    unsigned priority;
    queue->receive(data, room, size, priority);
    return size;
}
void end()
{
    delete queue;
    ip::message_queue::remove(name.c_str());
}
} // namespace

const transport boost_transport = {"Boost.Interprocess", start, put, get, end, nullptr, nullptr};
