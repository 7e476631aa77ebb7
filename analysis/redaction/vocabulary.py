"""Lists of words: how recognizers write theirs, and those that the
recognizer of names goes by. Given names are an aid and no
census: a name that is not among them is found by what is said around it, or not at all.
"""

from typing import Final


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """What stands between semicolons: cues of one word or several."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


def lettered(text: str) -> dict[str, str]:
    """Words and what they stand for, as `alpha=A`."""
    return dict(pair.split("=") for pair in text.split())


def numbered(text: str) -> dict[str, int]:
    """Words and their numbers, as `one=1`."""
    return {word: int(number) for word, number in lettered(text).items()}


FILLERS: Final = word_set("uh um er erm hmm mm mhm ah eh wait äh ähm euh eh")
"""Said while thinking: nothing ends or begins with them."""
GIVEN_NAMES: Final = word_set(
    """
    aaron abigail adam adele adrian agnes ahmed aiden aisha alan albert alejandro alex alexander alexandra alfred
    ali alice alicia alina alison allison amanda amelia amina amir amy ana andrea andreas andrew angela angelica
    anika anita ann anna anne annette annie anthony antonio anya arjun arthur asha ashley astrid audrey barbara
    beatrice ben benjamin bernard beth betty bianca birgit boris brandon brenda brian bridget bruno camille carla
    carlos carmen carol caroline catherine cecilia chandra charles charlie chiara chloe chris christian christina
    christine christopher claire clara claudia connor craig cynthia daniel daniela danielle david deborah deepak
    denise dennis derek diana diane diego dieter dimitri dmitri dominic donald donna doris dorothy douglas edith
    eduardo edward eileen elaine elena eleanor elias elisa elizabeth ella ellen emily emma enrique eric erika erin
    esther ethan eugene eva evelyn fatima felix fernando fiona florian frances francesca francis francisco frederick
    fritz gabriel gabriela gary geoffrey george gerald giovanni giulia gloria graham greta gregory guillermo gustav
    hannah hans harold harriet harry hassan heather heidi helen helena henrik henry hiroshi howard hugo ian ibrahim
    igor ines ingrid irene isaac isabel isabella ivan jacob jacqueline james jamie jane janet jason javier jean jeff
    jeffrey jennifer jenny jeremy jessica jim joan joanna joe johanna john jonas jonathan jorge jose joseph joshua
    josé juan judith julia julian julie juliette justin jürgen karen karin karl kate katherine kathleen kathy katie
    keith kelly kenneth kenji kevin khalid kim kimberly klaus kumar kyle lara larry laura lauren leila lena leo leon
    leonard leonardo leticia liam lillian linda lisa lorenzo louis louise luca lucas lucia lucy luis luisa lukas
    lydia lynn magdalena malcolm manuel marco margaret maria mariam marie marina mario marion markus marta martha
    martin martina mary mateo matthew maureen max maya megan mei melissa mia michael michelle miguel mike milan
    mohamed mohammed mona monica monika mustafa nadia nancy naomi natalia natalie natasha nathan neil nicholas
    nicola nicole nigel nina noah nora norman olga oliver olivia omar oscar pablo pamela patricia patrick paul paula
    pauline pedro peggy peter petra philip pierre piotr priya rachel rafael rahul raj ralph ramon raymond rebecca
    ricardo richard rita robert roberto robin roger roland ronald rosa ruth ryan sabine sally salma samantha samuel
    sandra sandeep sanjay sara sarah scott sean sebastian sergei sharon shirley silvia simon sofia sonia sophia
    sophie stefan stella stephanie stephen steven stuart sunita susan suzanne sven sylvia tamara tanya tara teresa
    theo theodore theresa thomas tiffany tim timothy tobias todd tom tomas tony tracy ulrich ursula valentina
    valerie vanessa vera veronica vikram vincent vladimir walter wanda wei wendy werner wilhelm william wolfgang
    yasmin yuki yusuf yvonne zachary zoe
    abdul abdullah adaeze adebayo agata agnieszka aileen aisling akira alejandra aleksander alfie alma alvaro amara amit anders
    anil anke anneliese ansel antoine anton aoife arne arnold asif axel bartosz beatriz benedikt bernadette bettina bjorn
    bogdan brendan bronagh caitlin callum caoimhe cecile celeste chiamaka chidi clemens clement colin colleen cormac cristina
    cyril dagmar darragh declan delphine deirdre dilip dominika edgar eduard eamon einar elif elke elsa emeka emilia emre
    ernst esperanza estelle etienne ewa fabian fabio farah farida federico felicity ferdinand finn fionn francine freya
    friedrich gareth gavin gerda gerhard geraldine gianni giorgio gisela giuseppe gonzalo gordon graciela grainne guido
    gunnar gunther gwen gwyneth hakan hamid hana hanna harriet hector heiko heinrich helga herbert herman hilary hilda
    horst hortense hussein ida ignacio ilona imran inga ingeborg inger ingo irina iris irma isolde istvan ivana jadwiga jaime
    jakob jakub jana janine jarek jeanne joachim joanne joaquin jochen jolanta josef josephine juanita jude jutta kamal kamila
    katarzyna katharina keiko kerstin kiran konrad krzysztof kurt lakshmi lars latisha leopold lev li liesel linnea lorna
    lorraine lothar lourdes lubna ludmila ludwig lukasz lutz mabel maeve maja malgorzata manfred manuela marcel marcia
    marcin marek margarita margot mariana marisol marlene matthias mattias maurice mehmet meera miriam mirjam mohammad mohan
    moira monique muhammad murat nadine neha nikhil niklas nikolai nils ottilie otto padraig paola pascal pavel pawel
    pernille philippa philippe pilar piet pooja prakash radek ragnhild raimund rainer rajesh ramesh rania raquel rashid
    regina reinhard renate rhiannon roisin rolf rosalind rosemary rowena roxanne rupert sadia saoirse saskia selma seamus
    shanice sheila shreya siegfried sigrid silke simone sinead siobhan slawomir solveig stanislaw suresh svetlana sybille
    takashi tariq tatiana thaddeus thea theodora thierry thorsten tomasz tove trevor ulrike uwe valeria venkat vincenzo
    viktor viktoria vivian vivienne volker waltraud wilma winifred wojciech xavier ximena yannick yolanda yoko yuri yvette
    zainab zofia zsofia
    """
)

NOT_NAMES: Final = word_set(
    """
    i i'm i'd i'll i've it it's is he she they we you yes no not ok okay so and but or the a an this that these
    those there here what who when where why how which please thanks thank sorry hello hi hey good great fine well
    just very really still also now then today tomorrow yesterday monday tuesday wednesday thursday friday saturday
    sunday january february march april may june july august september october november december my your his her our
    their me him them us sure right let if in on at to for of with from by as do does did can could would will
    should have has had was were are be been am going calling looking trying happy glad afraid interested wondering
    having getting using done ready back home customer service support sir madam everyone everybody all guys folks
    team morning afternoon evening night dear god jesus christ lord welcome english german french spanish italian
    dutch polish russian chinese japanese american british canadian indian mexican irish swedish norwegian danish
    finnish turkish greek european african asian australian austrian swiss portuguese brazilian germany france spain
    italy england britain america canada mexico india china japan europe london paris berlin madrid rome york
    california texas florida ohio internet wifi wi-fi google amazon apple microsoft netflix facebook youtube paypal
    ebay uber visa mastercard amex ups fedex dhl usps comcast verizon vodafone windows android iphone ipad siri
    alexa netflix spotify twitter instagram whatsapp zoom target walmart costco ikea christmas easter thanksgiving
    new old ja nein danke bitte guten tag sí gracias buenos días oui merci bonjour y und et ist es la el le der die
    das ein one two three spelled spelt written tv catholic jewish muslim hindu buddhist protestant orthodox
    usa uk us eu gps usb pdf
    """
)
"""In lower case: capitalized for other reasons than being somebody's name."""

BRANDS: Final = frozenset(
    {"pepper", "martens", "clean", "coffee", "oetker", "scholl", "bean", "robot", "right", "potato"}
)
"""After a title, what is sold rather than met."""
