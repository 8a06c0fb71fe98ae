*** Settings ***
Documentation       What a failure looks like: pairs with one wrong line each, and the one cause that is reported for it.
...                 The last test shows the whole message that a suite of your own would end with.
Resource            pair.resource

*** Test Cases ***
An Alignment That Is No Power Of Two
    Boot    align3
    Only Cause Should Be    vring.align-not-power-of-two

A Queue Size That Is No Power Of Two
    Boot    num6
    Only Cause Should Be    vring.num-not-power-of-two

A Vring Past The End Of Its Carveout
    Boot    past-carveout
    Only Cause Should Be    vring.outside-carveout
    Run Keyword And Expect Error    vdev?0?.vring?1? at * is not inside carveout?0? at *
    ...    Every Vring Should Be Inside Its Carveout

A Notification On A Channel That Nobody Listens To
    [Tags]    channel-enable
    Boot    wrong-channel
    Only Cause Should Be    notification.missing
    Run Keyword And Expect Error    notifications were ignored: *channel 5 to remote: once*
    ...    No Notification Should Be Ignored

A Table That The Start-Up Code Does Not Copy
    Boot    no-copy
    Only Cause Should Be    table.not-copied
    Run Keyword And Expect Error    not the table of the firmware: *    Resource Table Should Be In Memory

A Firmware That Says All The Right Things And Does None Of Them
    Power On    no-rings
    Create Terminal Tester    main
    Wait For Line On Uart    vdev 0 is at DRIVER_OK
    Wait For Line On Uart    10 good, 0 bad, 0 lost
    Run Until The End
    Rptun Should Not Be Up
    Only Cause Should Be    vring.unresolved

A Core That Faults
    Boot    crash-remote
    Only Cause Should Be    core.fault
    Run Keyword And Expect Error    remote took BusFault at *: reads 4 bytes at 0x70000000, *main+*
    ...    Core Should Not Have Faulted    remote

Two Wrong Lines Are Two Causes
    Boot    duplicate-notifyid-past-carveout
    Only Cause Should Be    vring.notifyid-not-unique    vring.outside-carveout

What The Verdict Says
    Boot    align3
    ${message}=    Run Keyword And Expect Error    *    Rptun Should Be Up
    Log    ${message}
    Should Match    ${message}    RPTUN is up, with errors\nerror: vring.align-not-power-of-two: *
    Should Contain    ${message}    (vdev[0].vring[1].align): expected a power of two, found 3
