"""Seats for calls that hold a thread for long: so many in all, so many for one client, and each comes back."""

import threading

import pytest

from accounts.seats import Seats


class AllTaken(Exception):
    pass


class TooMany(Exception):
    pass


def made(seats: int, for_one: int) -> Seats:
    return Seats(lambda: (seats, for_one), all_taken=AllTaken, too_many=TooMany)


def test_one_client_never_has_all_of_them() -> None:
    seats = made(3, 2)
    seats.take("a")
    seats.take("a")
    with pytest.raises(TooMany):
        seats.take("a")
    seats.take("b")
    with pytest.raises(AllTaken):
        seats.take("b")
    seats.give_back("a")
    seats.take("b")
    assert seats.taken == 3


def test_they_are_counted_right_by_many_at_once() -> None:
    seats, most = made(3, 2), []

    def come_and_go(client: str) -> None:
        for _ in range(300):
            try:
                seats.take(client)
            except (AllTaken, TooMany):
                continue
            most.append(seats.taken)
            seats.give_back(client)

    threads = [threading.Thread(target=come_and_go, args=(f"client {number % 3}",)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seats.taken, max(most) <= 3) == (0, True)
